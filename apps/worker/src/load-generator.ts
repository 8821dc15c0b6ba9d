/** From a model that generates text to its worker: an engine in a thread of its own, which reads its text here. */
import { ShoalError } from '@shoal/contracts';
import { GenerationEngine } from '@shoal/generation';
import { loadStreamDecoders, type Model } from '@shoal/models';
import type { GenerationMetrics } from '@shoal/telemetry';
import type { Config } from './config.js';
import { GenerationReporter } from './generation-reporter.js';
import { GeneratorEngine } from './generator-engine.js';
import { hardwareKind } from './limits.js';
import type { LoadContext } from './load-model.js';
import { LoadedGraph } from './loaded-graph.js';
import { ModelWorker } from './model-worker.js';
import { TextReader } from './text-reader.js';
import { tunedFor } from './tuned.js';

export interface GeneratorContext extends Omit<LoadContext, 'config' | 'gate'> {
  readonly config: Pick<Config, 'SHOAL_CACHE_DIR' | 'SHOAL_GENERATION_THREADS' | 'SHOAL_PREFIX_SHARING' | 'redis'>;
  readonly generation: GenerationMetrics;
  /** Threads that a pass may have where the environment does not say, and bytes of memory that this process may have with it. */
  readonly threads: number;
  readonly memoryLimit: number;
  /** Of what the model leaves of them, what its cache may have. */
  readonly cacheShare: number;
}

export async function loadGenerator(model: Model, context: GeneratorContext): Promise<ModelWorker> {
  const { config, runtime, metrics, generation, logger, tracer, onRedisError } = context;
  const { name, version, variant, generator } = model;
  if (generator === null) throw new ShoalError('internal_error', `${name} generates no text`);
  const started = performance.now();
  const graph = await LoadedGraph.of(model);
  const reader = new TextReader(await loadStreamDecoders(model));
  const { SHOAL_CACHE_DIR: cacheDir, SHOAL_GENERATION_THREADS: givenThreads } = config;
  const tuned = await tunedFor(model, { cacheDir, runtime, logger, givenThreads });
  const threads = givenThreads ?? Math.min(tuned.threads ?? context.threads, context.threads);
  const { spinning, flashAttention, cpuArena } = tuned;
  const engine = await GenerationEngine.open({
    ...{ modelPath: model.variants[variant]!, threads, spinning, flashAttention, cpuArena },
    memoryLimit: context.memoryLimit,
    cacheShare: context.cacheShare,
    context: generator.maxContext,
    // Nobody can go on here: the process ends as after any other fault, and is started again.
    onDeath: (error) => {
      throw error;
    },
  });
  await graph.confirm().catch(async (error: unknown) => {
    await engine.close();
    throw error;
  });
  const seconds = (performance.now() - started) / 1000;
  const labels = { model: name, version, variant };
  const info = { ...labels, task: model.task, device: 'cpu', runtime: runtime.kind };
  metrics.modelLoadDuration.set(labels, seconds);
  metrics.modelInfo.set(info, 1);
  generation.rows.set(labels, engine.rows);
  logger.info('model.loaded', {
    ...{ model: name, version, variant, seconds: Math.round(seconds * 100) / 100 },
    ...{ rows: engine.rows, context: engine.context, threads },
  });
  const reporter = new GenerationReporter({ model, metrics, generation, logger, tracer, clock: Date.now });
  const unwatch = generation.watch(() => reporter.stands(engine.stats()));
  return new ModelWorker({
    model,
    graph,
    joining: null,
    // A pass is as full as its rows are; items travel alone.
    shape: { maxBatchSize: engine.rows, maxBatchTokens: engine.rows * engine.context },
    hardware: hardwareKind({
      ...{ cacheDir, device: 'cpu', deviceOptions: {}, tuned },
      ...{ intraOpThreads: threads, sideBySide: 1, runtime: `${runtime.kind} ${runtime.version}` },
    }),
    tokensPerSecond: null,
    openEngine: ({ publisher, rate }) =>
      new GeneratorEngine({
        ...{ engine, reader, publisher, rate, reporter },
        limits: { context: engine.context, eosTokenIds: generator.eosTokenIds },
        prefixSharing: config.SHOAL_PREFIX_SHARING,
        now: () => performance.now(),
        random: Math.random,
      }),
    ...config.redis,
    random: Math.random,
    reservedBytes: engine.reservedBytes,
    heldBytes: () => engine.stats().cacheBytes,
    onRedisError,
    onStopped: () => {
      unwatch();
      metrics.modelLoadDuration.remove(labels);
      metrics.modelInfo.remove(info);
      for (const gauge of [generation.rows, generation.running, generation.cacheBytes, metrics.itemsInFlight]) {
        gauge.remove(labels);
      }
    },
  });
}
