/** Urgent texts beside a background that has all rows: a real model in few rows, and the order in which texts start. */
import type { Priority } from '@shoal/contracts';
import { expect, inject, test } from 'vitest';
import { jobOf, PROMPTS, startRows } from '../support/generator.js';
import { type Bench, NOTHING_LEFT, openBench, TENANT } from '../support/queue-harness.js';

const redisUrl = inject('redisUrl');
const [HIGH, LOW] = [1, 3];
/** Of lower priority, those that may start before urgent ones are seen: a row may end in the moment in which they come. */
const UNSEEN = 0.2;

interface Texts {
  readonly count: number;
  readonly tokens: number;
  readonly priority: Priority;
  readonly tenant?: string;
}

async function submitAll(bench: Bench, { count, tokens, priority, tenant = TENANT }: Texts): Promise<string[]> {
  const jobs = PROMPTS.slice(0, count).map((prompt) =>
    jobOf(bench, [prompt], { max_tokens: tokens }, { priority, tenant }),
  );
  return (await bench.store.submit(jobs)).map((admitted) => (admitted as { id: string }).id);
}

/** Urgent ones, so many at a time: each that ends is followed by another. */
async function stream(bench: Bench, atATime: number, tokens: number, goesOn: () => boolean): Promise<void> {
  const next = async () => {
    while (goesOn()) {
      const [id] = await submitAll(bench, { count: 1, tokens, priority: 'high' });
      await bench.end(id!);
    }
  };
  await Promise.all(Array.from({ length: atATime }, next));
}

test('texts of lower priority rest while urgent ones of their tenant never run out; what made way ends when there is room', async () => {
  const bench = await openBench({ redisUrl });
  const { started, preemptions } = await startRows(bench, redisUrl, 2);
  const low = await submitAll(bench, { count: 30, tokens: 100, priority: 'low' });
  await expect.poll(() => started.length, { interval: 5 }).toBeGreaterThanOrEqual(2);
  let urgent = 0;
  const before = started.length;
  // More than there are rows: some wait always.
  await stream(bench, 5, 30, () => urgent++ < 60);
  const since = started.slice(before);
  const until = since.lastIndexOf(HIGH) - 5;
  const between = since.slice(0, until).filter((rank) => rank === LOW);
  expect(between.length / until).toBeLessThan(UNSEEN);
  expect(preemptions()).toBeGreaterThan(0);
  for (const id of low) expect((await bench.end(id)).state).toBe('completed');
  await expect.poll(() => bench.counters()).toEqual(NOTHING_LEFT);
});

test('urgent texts that come together start together, however many others stand between them in the fair order', async () => {
  const bench = await openBench({ redisUrl });
  const { started } = await startRows(bench, redisUrl, 2);
  const low = await submitAll(bench, { count: 40, tokens: 60, priority: 'low' });
  await expect.poll(() => started.length, { interval: 5 }).toBeGreaterThanOrEqual(2);
  const [bursts, size] = [3, 12];
  let between = 0;
  for (let burst = 0; burst < bursts; burst++) {
    const before = started.length;
    const urgent = await submitAll(bench, { count: size, tokens: 10, priority: 'high' });
    for (const id of urgent) await bench.end(id);
    const since = started.slice(before);
    between += since.slice(0, since.lastIndexOf(HIGH)).filter((rank) => rank === LOW).length;
  }
  expect(between / (bursts * size)).toBeLessThan(UNSEEN);
  for (const id of low) await bench.store.cancel(TENANT, id);
});

test('who has urgent texts all the time gets no more tokens than another tenant', async () => {
  const bench = await openBench({ redisUrl });
  const { ended } = await startRows(bench, redisUrl, 4);
  await submitAll(bench, { count: 40, tokens: 60, priority: 'low' });
  const other = await submitAll(bench, { count: 40, tokens: 60, priority: 'normal', tenant: 'other' });
  let left = other.length;
  const all = Promise.all(other.map((id) => bench.end(id, 'other').then(() => left--)));
  await stream(bench, 2, 30, () => left > 0);
  await all;
  const until = ended.findLastIndex(({ item }) => item.tenant === 'other');
  const tokens = { own: 0, other: 0 };
  for (const { item, tokens: made } of ended.slice(0, until)) tokens[item.tenant === 'other' ? 'other' : 'own'] += made;
  const share = tokens.own / (tokens.own + tokens.other);
  expect(share).toBeGreaterThan(0.35);
  expect(share).toBeLessThan(0.65);
});
