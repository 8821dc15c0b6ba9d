/**
 * The models that this worker has loaded, as the repository, the wishes and the work change: each turn looks at all three, and
 * loads or unloads what planModels says. One that is unloaded is drained: what runs ends and is published.
 */
import { ShoalError } from '@shoal/contracts';
import { expectedModels, isUnloaded, type Model, NO_ALIASES, type Repository, weightBytes } from '@shoal/models';
import { type ModelBoard, repeat } from '@shoal/queue';
import type { Logger, WorkerMetrics } from '@shoal/telemetry';
import type { ModelWorker } from './model-worker.js';
import { type LoadedModel, planModels } from './plan-models.js';

const TURN_MS = 500;
/** Between two exchanges with the board. */
const TELL_MS = 1000;

export interface ServedModelsOptions {
  /** Names of the models to serve; all where there are none. */
  readonly names: readonly string[];
  readonly load: (model: Model) => Promise<ModelWorker>;
  readonly board: Pick<ModelBoard, 'exchange' | 'work' | 'state'>;
  /** Bytes that loaded models may take together. */
  readonly memory: number;
  /** How long a model that is not expected to be asked for stays without work, in ms. */
  readonly keepMs: number;
  readonly logger: Logger;
  readonly metrics: WorkerMetrics;
  /** Bytes of memory that this process has. */
  readonly resident: () => number;
  /** Ms of a clock that only goes forward. */
  readonly now: () => number;
}

interface Served {
  readonly model: Model;
  readonly worker: ModelWorker;
  /** Resolves when it takes jobs. */
  readonly started: Promise<void>;
  readonly bytes: number;
  readonly loadedAt: number;
  /** When it last had work, and the tokens of its queue that had ended by then. */
  usedAt: number;
  tokens: number;
  /** Since when it is to go; undefined: it is not. */
  unwantedAt: number | undefined;
}

export class ServedModels {
  readonly #options: ServedModelsOptions;
  #repository: Repository = { models: [], aliases: NO_ALIASES, problems: [] };
  /** By queue. */
  readonly #served = new Map<string, Served>();
  /** By model, which is another object once its folder has changed: why it is not loaded. */
  readonly #failed = new Map<Model, unknown>();
  readonly #bytes = new Map<Model, number>();
  #stopTurns: () => Promise<unknown> = async () => {};
  #stopping = false;

  constructor(options: ServedModelsOptions) {
    this.#options = options;
  }

  /** Loads what is expected to be asked for. Throws the first reason where none of that can be loaded. */
  async start(repository: Repository): Promise<void> {
    const ignore = () => undefined;
    await this.follow(repository);
    await this.#tell().catch(ignore);
    while (await this.#turn());
    // At once: of a Redis Cluster, the node of one model may be away.
    await Promise.all([...this.#served.values()].map(({ started }) => started));
    const [reason] = this.#failed.values();
    if (this.#served.size === 0 && reason !== undefined) throw reason;
    // Where Redis is away, which its connections tell, everything stays as it is.
    const stopTelling = repeat(TELL_MS, () => this.#tell(), ignore);
    const stopTurning = repeat(TURN_MS, () => this.#turns(), ignore);
    this.#stopTurns = () => Promise.all([stopTelling(), stopTurning()]);
  }

  /** The repository has changed. */
  async follow(repository: Repository): Promise<void> {
    const { names } = this.#options;
    const models =
      names.length === 0 ? repository.models : repository.models.filter(({ name }) => names.includes(name));
    const there = new Set(models);
    for (const model of this.#failed.keys()) if (!there.has(model)) this.#forgetFailure(model);
    for (const model of this.#bytes.keys()) if (!there.has(model)) this.#bytes.delete(model);
    for (const model of models) {
      if (!this.#bytes.has(model)) this.#bytes.set(model, await weightBytes(model).catch(() => 0));
    }
    this.#repository = { ...repository, models };
  }

  /** Whether Redis is reached by all of them. */
  get connected(): boolean {
    return [...this.#served.values()].every(({ worker }) => worker.connected);
  }

  /** `<model>/<version>/<variant>` */
  get names(): string[] {
    return [...this.#served.values()].map(({ worker }) => worker.name);
  }

  /** What is not served, in words. */
  get notes(): string[] {
    return [...this.#failed.keys()].map((model) => `${pathOf(model)} is not served: it does not load`);
  }

  /** Models that generate text, loaded or likely to be. */
  get generators(): number {
    const { models, aliases } = this.#repository;
    const expected = expectedModels(models, aliases, this.#options.board.state.wishes);
    const all = new Set([...expected, ...[...this.#served.values()].map(({ model }) => model)]);
    return Math.max(1, [...all].filter(({ generator }) => generator !== null).length);
  }

  async reportColdStart(seconds: number): Promise<void> {
    await Promise.all([...this.#served.values()].map(({ worker }) => worker.reportColdStart(seconds)));
  }

  /** Drains all of them. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([this.#stopTurns(), ...[...this.#served.keys()].map((queue) => this.#unload(queue))]);
    // What a turn was loading meanwhile.
    await Promise.all([...this.#served.keys()].map((queue) => this.#unload(queue)));
  }

  async #tell(): Promise<void> {
    await this.#options.board.exchange({ role: 'worker', queues: [...this.#served.keys()] });
  }

  async #turns(): Promise<void> {
    // One that has changed something looks at once for what is next.
    while (!this.#stopping && (await this.#turn()));
  }

  /** True where something was loaded or unloaded, or did not load. */
  async #turn(): Promise<boolean> {
    const { board, memory, keepMs, now } = this.#options;
    const { models, aliases } = this.#repository;
    const queues = new Set([...this.#served.keys(), ...models.map(({ queue }) => queue)]);
    const work = await board.work([...queues]);
    // One whose server does not answer is not unloaded, nor loaded.
    const busy = new Set([...queues].filter((queue) => (work.get(queue)?.jobs ?? Number(this.#served.has(queue))) > 0));
    const at = now();
    const { wishes } = board.state;
    const offered = new Set(models.filter((model) => !isUnloaded(model, wishes)));
    const loaded = new Map<string, LoadedModel>();
    for (const [queue, served] of this.#served) {
      const { model, worker, bytes, loadedAt } = served;
      const tokens = work.get(queue)?.tokens ?? served.tokens;
      // What came and went since the last turn counts as well.
      if (busy.has(queue) || tokens !== served.tokens) served.usedAt = at;
      served.tokens = tokens;
      served.unwantedAt = offered.has(model) ? undefined : (served.unwantedAt ?? at);
      loaded.set(queue, {
        ...{ model, bytes: bytes + worker.heldBytes, loadedMs: at - loadedAt, idleMs: at - served.usedAt },
        unwantedMs: at - (served.unwantedAt ?? at),
      });
    }
    const { unload, load } = planModels({
      ...{ models, aliases, wishes, loaded, busy, keepMs },
      failed: new Set(this.#failed.keys()),
      limit: memory,
      bytesOf: (model) => this.#bytes.get(model) ?? 0,
    });
    await Promise.all(unload.map((queue) => this.#unload(queue)));
    if (load !== undefined) await this.#load(load);
    const changed = unload.length > 0 || load !== undefined;
    if (changed) await this.#tell().catch(() => undefined);
    return changed;
  }

  async #load(model: Model): Promise<void> {
    const { load, resident, now, memory } = this.#options;
    const bytes = this.#bytes.get(model) ?? 0;
    try {
      if (bytes > memory) throw tooLarge(bytes, memory);
      const before = resident();
      const worker = await load(model);
      const taken = Math.max(bytes, resident() - before);
      const at = now();
      const started = worker.start().catch(async (error: unknown) => {
        await this.#unload(model.queue);
        this.#fail(model, error);
      });
      this.#served.set(model.queue, {
        ...{ model, worker, started, bytes: taken, loadedAt: at, usedAt: at, tokens: 0, unwantedAt: undefined },
      });
    } catch (error) {
      this.#fail(model, error);
    }
  }

  /** The others are served; jobs for this one wait for a worker that can load it. */
  #fail(model: Model, error: unknown): void {
    const { metrics, logger } = this.#options;
    this.#failed.set(model, error);
    metrics.modelLoadFailures.set(labelsOf(model), 1);
    logger.error('model.load_failed', { model: pathOf(model) }, error);
  }

  async #unload(queue: string): Promise<void> {
    const { logger, now } = this.#options;
    const served = this.#served.get(queue);
    if (served === undefined) return;
    const from = now();
    this.#served.delete(queue);
    await served.worker.stop();
    if (!this.#stopping) logger.info('model.unloaded', { ...labelsOf(served.model), seconds: round(now() - from) });
  }

  #forgetFailure(model: Model): void {
    this.#failed.delete(model);
    this.#options.metrics.modelLoadFailures.remove(labelsOf(model));
  }
}

function labelsOf({ name, version, variant }: Model) {
  return { model: name, version, variant };
}

/** Seconds, of ms. */
function round(ms: number): number {
  return Math.round(ms) / 1000;
}

function tooLarge(bytes: number, memory: number): ShoalError {
  const [needed, given] = [bytes, memory].map((size) => Math.ceil(size / 2 ** 20));
  return new ShoalError('device_failed', `it takes ${needed} MiB, and SHOAL_MODEL_MEMORY is ${given} MiB`);
}

function pathOf({ name, version, variant }: Model): string {
  return `${name}/${version}/${variant}`;
}
