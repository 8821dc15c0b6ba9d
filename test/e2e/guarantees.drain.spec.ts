import { expect, test } from 'vitest';
import { inParallel, openFleet, readMetric } from '../support/fleet.js';

const ROUNDS = 10;
const BULK = 960;
const SINGLE = 40;
const TEXTS = ['a large fish', 'a musical instrument with strings', 'a feeling of great joy', 'the act of buying'];

test('10,000 jobs over two workers, one of them stopped ten times: each has one result, none stalled or lost', async () => {
  const fleet = await openFleet({ model: 'wordnet-topic' });
  const api = await fleet.startApi();
  await fleet.startWorker();
  const endings = new Map<string, number>();
  const subscriber = fleet.redis.duplicate();
  subscriber.on('message', (_channel: string, ids: string) => {
    for (const id of ids.split(' ')) endings.set(id, (endings.get(id) ?? 0) + 1);
  });
  await subscriber.subscribe('shoal:ended');
  // BullMQ tells of every stall in its event stream: keep all of it.
  await fleet.redis.hset(`${fleet.tag}:chunks:meta`, 'opts.maxLenEvents', 10_000_000);

  const textOf = (n: number) => TEXTS[n % TEXTS.length];
  const ids: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const churned = await fleet.startWorker();
    const from = ids.length;
    const bulk = api.submitBulk(Array.from({ length: BULK }, (_, n) => textOf(from + n)));
    const singles = inParallel(
      8,
      Array.from({ length: SINGLE }, (_, n) => from + BULK + n),
      (n) => api.submit(textOf(n)),
    );
    // Stopped while it works, with more waiting.
    await expect
      .poll(() => readMetric(churned.metricsUrl, 'shoal_inferences_total'), { interval: 5 })
      .toBeGreaterThan(0);
    expect(await churned.stop()).toBe('exit code 0');
    ids.push(...(await bulk), ...(await singles));
  }
  const jobs = await inParallel(16, ids, (id) => api.end(id));
  subscriber.disconnect();

  expect(new Set(ids).size).toBe(10_000);
  expect(jobs.filter(({ status }) => status !== 'completed')).toEqual([]);
  const labels = jobs.map(({ output }) => (output as { label: string }[])[0]!.label);
  expect(new Set(labels.slice(0, TEXTS.length)).size).toBe(TEXTS.length);
  expect(labels.filter((label, n) => label !== labels[n % TEXTS.length])).toEqual([]);
  expect(ids.filter((id) => endings.get(id) !== 1)).toEqual([]);
  expect(Math.max(...jobs.map(({ attempts }) => attempts))).toBe(1);
  const events = await fleet.redis.xrange(`${fleet.tag}:chunks:events`, '-', '+');
  const kinds = events.map(([, [, kind]]) => kind);
  expect(kinds).toContain('active');
  expect(kinds.filter((kind) => kind === 'stalled')).toEqual([]);
  expect(await fleet.redis.hmget(`${fleet.tag}:state`, 'jobs', 'tokens', 'reserved')).toEqual(['0', '0', '0']);
  console.log(
    `waiting again after a hand-back: ${kinds.filter((kind) => kind === 'waiting').length} of ${ids.length} jobs' chunks`,
  );
});
