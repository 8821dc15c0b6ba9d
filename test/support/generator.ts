/** The bundled generator: jobs for it, and a worker of it that has few rows. */
import { readFileSync } from 'node:fs';
import type { GenerationSettings, PromptItem } from '@shoal/contracts';
import { GenerationEngine } from '@shoal/generation';
import { loadStreamDecoders, type Model, openRepository } from '@shoal/models';
import { type ClaimedItem, Consumer, type NewJob, Publisher } from '@shoal/queue';
import { onTestFinished } from 'vitest';
import { GeneratorEngine } from '../../apps/worker/dist/generator-engine.js';
import { TextReader } from '../../apps/worker/dist/text-reader.js';
import { ROOT } from './processes.js';
import type { Bench, JobOptions } from './queue-harness.js';

const GREEDY: GenerationSettings = {
  ...{ max_tokens: 40, min_tokens: 0, n: 1, temperature: 0, top_p: 1, top_k: 0, min_p: 0, seed: 1 },
  ...{ frequency_penalty: 0, presence_penalty: 0, repetition_penalty: 1, logit_bias: [], stop: [], stop_token_ids: [] },
  ...{ include_stop_str_in_output: false, ignore_eos: true, skip_special_tokens: true, logprobs: null, echo: false },
};

export async function model(): Promise<Model> {
  const { models } = await openRepository(`${ROOT}models`);
  return models.find(({ name }) => name === 'wordnet-lm')!;
}

export function jobOf(
  bench: Bench,
  prompts: readonly number[][],
  settings: Partial<GenerationSettings> = {},
  options: JobOptions = {},
): NewJob {
  const parameters = { ...GREEDY, ...settings };
  const base = bench.job(
    prompts.map(() => 0),
    options,
  );
  return {
    ...base,
    meta: { ...base.meta, task: 'text-generation', parameters },
    items: prompts.map((ids): PromptItem => ({ kind: 'prompt', ids: Uint32Array.from(ids), choice: 0 })),
    tokens: prompts.map(({ length }) => length),
    answers: prompts.map(() => parameters.max_tokens),
    resultBytes: 20_000,
  };
}

export async function submit(bench: Bench, job: NewJob): Promise<string> {
  const [admitted] = await bench.store.submit([job]);
  if (admitted === undefined || admitted instanceof Error) throw admitted;
  return admitted.id;
}

interface Reference {
  readonly greedy: readonly { readonly input_ids: readonly number[] }[];
}

const { greedy } = JSON.parse(readFileSync(`${ROOT}/test/fixtures/wordnet-lm/reference.json`, 'utf8')) as Reference;
/** The sixteen of the reference, more than once: a row may begin with what another has left. */
export const PROMPTS = Array.from({ length: 40 }, (_, n) => [...greedy[n % greedy.length]!.input_ids]);

/** What a worker has done, in order. */
export interface Rows {
  /** Ranks of the texts that it started, those anew that had made way. */
  readonly started: readonly number[];
  readonly ended: readonly { readonly item: ClaimedItem; readonly tokens: number }[];
  readonly preemptions: () => number;
}

/** A worker that has so many rows. */
export async function startRows(bench: Bench, redisUrl: string, rows: number): Promise<Rows> {
  const own = await model();
  const engine = await GenerationEngine.open({
    ...{ modelPath: own.variants[own.variant]!, threads: 1, memoryLimit: 4 * 2 ** 30, rows },
    context: own.generator!.maxContext,
  });
  const started: number[] = [];
  const ended: { item: ClaimedItem; tokens: number }[] = [];
  let preemptions = 0;
  const start = engine.start.bind(engine);
  engine.start = (request, listener) => {
    started.push(request.rank);
    start(request, listener);
  };
  const consumer = new Consumer({ redisUrl, queue: bench.queue, clock: Date.now, onError: () => undefined });
  const generator = new GeneratorEngine({
    engine,
    reader: new TextReader(await loadStreamDecoders(own)),
    publisher: new Publisher({ redis: consumer.redis, queue: bench.queue, maxResultBytes: 2 ** 20 }),
    limits: { context: engine.context, eosTokenIds: own.generator!.eosTokenIds },
    prefixSharing: 'tenant',
    rate: { add: () => undefined },
    reporter: {
      holds: () => undefined,
      began: () => undefined,
      grew: () => undefined,
      ended: (item, _finish, tokens) => void ended.push({ item, tokens }),
      preempted: () => void preemptions++,
    },
    now: () => performance.now(),
    random: Math.random,
  });
  consumer.start(generator);
  onTestFinished(async () => {
    await Promise.all([generator.drain(), consumer.drain()]);
    consumer.close();
    await generator.close();
  });
  return { started, ended, preemptions: () => preemptions };
}
