/** Texts through the queue: a real model, a real engine in its thread, and what of them is in Redis. */
import type { GeneratedText, GenerationSettings } from '@shoal/contracts';
import { AnswerText, addToAnswers, loadStreamDecoders } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import { createGenerationMetrics, createLogger, createWorkerMetrics } from '@shoal/telemetry';
import { Registry } from 'prom-client';
import { expect, inject, onTestFinished, test } from 'vitest';
import { loadGenerator } from '../../apps/worker/dist/load-generator.js';
import { jobOf, model, PROMPTS, submit } from '../support/generator.js';
import { type Bench, NOTHING_LEFT, openBench, TENANT } from '../support/queue-harness.js';

const redisUrl = inject('redisUrl');
const never = new AbortController().signal;

async function startGenerator(bench: Bench, prefixSharing: 'tenant' | 'all' = 'tenant') {
  const registry = new Registry();
  const worker = await loadGenerator(
    { ...(await model()), queue: bench.queue },
    {
      config: {
        SHOAL_CACHE_DIR: '/nowhere',
        SHOAL_PREFIX_SHARING: prefixSharing,
        redis: { redisUrl, redisCa: undefined, redisCluster: false, redisSentinels: [], allowEviction: false },
      },
      runtime: await openRuntime(),
      metrics: createWorkerMetrics(registry),
      generation: createGenerationMetrics(registry),
      logger: createLogger({ name: 'test', level: 'silent' }),
      tracer: undefined,
      onRedisError: () => undefined,
      threads: 1,
      cacheShare: 1,
      memoryLimit: 4 * 2 ** 30,
    },
  );
  await worker.start();
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= worker.stop();
    return stopped;
  };
  onTestFinished(stop);
  return { worker, stop, registry };
}

async function answersOf(bench: Bench, id: string): Promise<GeneratedText[]> {
  const { state, results } = await bench.end(id);
  expect(state).toBe('completed');
  return results.map((result) => result!.output as GeneratedText);
}

test('texts that are made together are those that are made alone, and what is followed is what is stored', async () => {
  const bench = await openBench({ redisUrl });
  await startGenerator(bench);
  const alone: GeneratedText[] = [];
  for (const prompt of PROMPTS.slice(0, 4))
    alone.push(...(await answersOf(bench, await submit(bench, jobOf(bench, [prompt])))));
  const id = await submit(bench, jobOf(bench, PROMPTS));
  const followed = PROMPTS.map(() => '');
  for await (const { pieces } of bench.store.follow(TENANT, id, { parts: 0, pieces: 0 }, never)) {
    for (const { index, piece } of pieces) followed[index] += piece.text;
  }
  const together = await answersOf(bench, id);
  expect(together.slice(0, 4).map(({ ids }) => [...ids])).toEqual(alone.map(({ ids }) => [...ids]));
  // The end of a text comes with the whole of it.
  for (const [n, { text }] of together.entries())
    expect([followed[n] !== '', text.startsWith(followed[n]!)]).toEqual([true, true]);
  expect(together.every(({ ids, finish }) => ids.length === 40 && finish === 'length')).toBe(true);
  await expect.poll(() => bench.counters()).toEqual(NOTHING_LEFT);
});

test('the text of an answer says all of its tokens, however close together the last ones came', async () => {
  const bench = await openBench({ redisUrl });
  await startGenerator(bench);
  const decoder = (await loadStreamDecoders(await model()))(true);
  for (const prompt of PROMPTS.slice(0, 16)) {
    const [{ ids, text } = { ids: [], text: '' }] = await answersOf(bench, await submit(bench, jobOf(bench, [prompt])));
    const answer = new AnswerText(decoder, { stop: [], includeStop: false, minTokens: 0 });
    const [read] = await addToAnswers(decoder, [{ answer, ids: [...ids] }]);
    expect(text).toBe(read!.text + (await answer.end()).text);
  }
});

test('a worker that is stopped in the middle leaves its texts to another, which goes on with them', async () => {
  const bench = await openBench({ redisUrl });
  const first = await startGenerator(bench);
  const job = jobOf(bench, PROMPTS.slice(0, 8), { max_tokens: 200, temperature: 1, seed: 11 });
  const id = await submit(bench, job);
  const looks = bench.store.follow(TENANT, id, { parts: 0, pieces: 0 }, never);
  const texts = PROMPTS.slice(0, 8).map(() => '');
  let seen = 0;
  let stopping: Promise<void> | undefined;
  for await (const { pieces } of looks) {
    for (const { seq, index, piece } of pieces) {
      expect(seq).toBe(++seen);
      texts[index] += piece.text;
    }
    if (seen > 30 && stopping === undefined)
      stopping = first.stop().then(async () => void (await startGenerator(bench)));
  }
  await stopping;
  const answers = await answersOf(bench, id);
  for (const [n, { text }] of answers.entries()) expect(text.startsWith(texts[n]!)).toBe(true);
  const again = await answersOf(bench, await submit(bench, job));
  expect(answers.map(({ ids }) => [...ids])).toEqual(again.map(({ ids }) => [...ids]));
});

test('a text whose workers are stopped again and again, each after a few tokens of it, ends as if it had been left alone', async () => {
  const bench = await openBench({ redisUrl });
  // Greedy ones may part at near-ties, by which of their proposals are verified together.
  const job = jobOf(bench, PROMPTS.slice(0, 1), { max_tokens: 200, temperature: 1, seed: 12 });
  const id = await submit(bench, job);
  let stops = 0;
  let { stop } = await startGenerator(bench);
  for await (const { pieces } of bench.store.follow(TENANT, id, { parts: 0, pieces: 0 }, never)) {
    if (pieces.length === 0 || stops === 4) continue;
    stops++;
    await stop();
    stop = (await startGenerator(bench)).stop;
  }
  // How many depends on how fast it is made.
  expect(stops).toBeGreaterThan(1);
  const [again] = await answersOf(bench, await submit(bench, job));
  expect(await answersOf(bench, id)).toMatchObject([{ ids: again!.ids, text: again!.text }]);
});

test('a stop string ends a text, and nothing of it is shown', async () => {
  const bench = await openBench({ redisUrl });
  await startGenerator(bench);
  const [whole] = await answersOf(bench, await submit(bench, jobOf(bench, [PROMPTS[3]!])));
  const stop = whole!.text.slice(20, 26);
  const [cut] = await answersOf(bench, await submit(bench, jobOf(bench, [PROMPTS[3]!], { stop: [stop] })));
  expect(cut).toMatchObject({ finish: 'stop', stopped: stop, text: whole!.text.slice(0, whole!.text.indexOf(stop)) });
});

/** A prompt of more than two chunks, and what of it is there the second time. */
const LONG = PROMPTS.flat().slice(0, 150);
const LONG_CACHED = 128;

test('a text says what it took over, by whatever it ends', async () => {
  const bench = await openBench({ redisUrl });
  await startGenerator(bench);
  const ask = async (settings: Partial<GenerationSettings>) =>
    (await answersOf(bench, await submit(bench, jobOf(bench, [LONG], settings))))[0]!;
  const first = await ask({});
  const again = await ask({});
  const cut = await ask({ stop: [first.text.slice(20, 26)] });
  expect([first, again, cut].map(({ cachedTokens }) => cachedTokens)).toEqual([0, LONG_CACHED, LONG_CACHED]);
  expect([again.text, cut.finish]).toEqual([first.text, 'stop']);
});

test('a text begins with what was made for another tenant only where that is configured', async () => {
  const cached: number[] = [];
  for (const sharing of ['tenant', 'all'] as const) {
    const bench = await openBench({ redisUrl });
    await startGenerator(bench, sharing);
    for (const name of [TENANT, 'another']) {
      const job = jobOf(bench, [LONG]);
      const id = await submit(bench, { ...job, tenant: { ...job.tenant, name } });
      const { results } = await bench.end(id, name);
      cached.push((results[0]!.output as GeneratedText).cachedTokens);
    }
  }
  expect(cached).toEqual([0, 0, 0, LONG_CACHED]);
});

test('a cancelled text gives its row back', async () => {
  const bench = await openBench({ redisUrl });
  const { registry } = await startGenerator(bench);
  const id = await submit(bench, jobOf(bench, [PROMPTS[0]!], { max_tokens: 240 }));
  const looks = bench.store.follow(TENANT, id, { parts: 0, pieces: 0 }, never);
  for await (const { pieces } of looks) if (pieces.length > 0) break;
  await bench.store.cancel(TENANT, id);
  await expect.poll(() => bench.counters()).toEqual(NOTHING_LEFT);
  const held = async () => (await registry.getSingleMetric('shoal_items_in_flight')!.get()).values[0]?.value;
  await expect.poll(held).toBe(0);
});

test('what a worker tells of its rows is told while they grow and when they have ended, to the last token', async () => {
  const bench = await openBench({ redisUrl });
  const { registry } = await startGenerator(bench);
  const told = async (metric: string) => (await registry.getSingleMetric(metric)!.get()).values[0]?.value;
  const running = () => told('shoal_num_requests_running');
  const id = await submit(bench, jobOf(bench, PROMPTS, { max_tokens: 200 }));
  await expect.poll(running, { interval: 5 }).toBeGreaterThan(0);
  await bench.end(id);
  await expect.poll(running).toBe(0);
  expect(await told('shoal_generation_tokens_total')).toBe(200 * PROMPTS.length);
});
