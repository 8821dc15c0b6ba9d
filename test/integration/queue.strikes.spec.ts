import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, inject, onTestFinished, test } from 'vitest';
import { type Bench, FOREVER, NOTHING_LEFT, openBench } from '../support/queue-harness.js';
import { outcomes, resultOf } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');
const SCRIPT = fileURLToPath(new URL('../support/crashing-worker.mjs', import.meta.url));

test('an item whose pass never ended comes back with a strike and runs alone', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher, stop } = bench.startHolder();
  const id = await bench.submit([1, 2, 3]);
  const held = await claims.next(3);
  expect(held.map(({ item }) => item.strikes)).toEqual([0, 0, 0]);
  // The first two are in a pass when their worker ends; the third waits.
  await publisher.begin(held.slice(0, 2).map(({ item }) => item));
  await bench.loseLock(held[0]!);
  const again = await claims.next(3);
  expect(again.map(({ item }) => item.strikes)).toEqual([1, 1, 0]);
  // Handed back without a pass: that is no further strike.
  for (const { settle } of again) settle({ kind: 'returned' });
  const last = await claims.next(3);
  expect(last.map(({ item }) => item.strikes)).toEqual([1, 1, 0]);

  // The chunk waits in Redis until this holder has gone; then a real worker takes it.
  for (const { settle } of last) settle({ kind: 'retry', afterMs: FOREVER });
  await expect.poll(() => bench.redis.zcard(`${bench.tag}:chunks:delayed`)).toBe(1);
  await stop();
  const { batches } = await bench.startWorker();
  await bench.promoteDelayed();
  const record = await bench.end(id);
  expect(outcomes(record)).toEqual([2, 4, 6]);
  expect(record.results.map((result) => result?.receipt.closedBy)).toEqual(['alone', 'alone', 'idle']);
  expect(batches).toHaveLength(3);
});

test('a pass that ends takes the strikes of its items back, and of no others', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit([1, 2, 3]);
  const first = await claims.next(3);
  await publisher.begin(first.map(({ item }) => item));
  await bench.loseLock(first[0]!);
  const second = await claims.next(3);
  expect(second.map(({ item }) => item.strikes)).toEqual([1, 1, 1]);
  await publisher.begin(second.map(({ item }) => item));
  // One fails in a way that is worth another attempt: its process lives, so no strike stays.
  expect(await publisher.publish([{ item: second[1]!.item }])).toEqual([1]);
  await bench.loseLock(second[0]!);
  const third = await claims.next(3);
  expect(third.map(({ item }) => [item.strikes, item.attempts])).toEqual([
    [2, 0],
    [0, 1],
    [2, 0],
  ]);
  await publisher.publish(third.map(({ item }) => ({ item, result: resultOf(5) })));
  expect(outcomes(await bench.end(id))).toEqual([5, 5, 5]);
});

test('what is sent again because its reply was lost counts once: a mark, and an attempt', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  await bench.submit([1, 2, 3]);
  const first = await claims.next(3);
  const items = first.map(({ item }) => item);
  for (let sent = 0; sent < 2; sent++) await publisher.begin(items);
  await publisher.publish([{ item: items[0]!, result: resultOf(5) }]);
  for (let sent = 0; sent < 2; sent++) await publisher.publish(items.slice(1).map((item) => ({ item })));
  await bench.loseLock(first[0]!);
  const second = await claims.next(2);
  expect(second.map(({ item }) => [item.strikes, item.attempts])).toEqual([
    [0, 1],
    [0, 1],
  ]);
});

/** Runs workers, one after the other, until one ends without a crash; resolves to the number of crashes. */
async function runUntilQuiet(bench: Bench, poison: number, done: Promise<unknown>): Promise<number> {
  for (let crashes = 0; ; crashes++) {
    const child = fork(SCRIPT, [redisUrl, bench.queue, String(poison)]);
    onTestFinished(() => void child.kill('SIGKILL'));
    const exited = once(child, 'exit');
    const outcome = await Promise.race([exited, done.then(() => 'done')]);
    if (outcome === 'done') {
      child.send('stop');
      expect(await exited).toEqual([0, null]);
      return crashes;
    }
    expect(outcome).toEqual([null, 'SIGKILL']);
    // Stands in for the 15 s until the locks of a dead worker run out.
    const locks = (await bench.keys()).filter((key) => key.endsWith(':lock'));
    await bench.redis.del(...locks.map((key) => `${bench.tag}:${key}`));
    await bench.recoverStalled();
  }
}

test('an input that ends its worker fails after three strikes, and its 63 neighbours succeed', async () => {
  const bench = await openBench({ redisUrl });
  const poison = 40;
  const array = Array.from({ length: 32 }, (_, n) => n);
  const id = await bench.submit(array);
  const singles = await bench.store.submit(Array.from({ length: 32 }, (_, n) => bench.job(32 + n)));
  const ids = [id, ...singles.map((entry) => (entry as { id: string }).id)];
  const records = Promise.all(ids.map((job) => bench.end(job)));
  const crashes = await runUntilQuiet(bench, poison, records);
  const values = (await records).flatMap(outcomes);
  expect(values).toEqual(Array.from({ length: 64 }, (_, n) => (n === poison ? 'worker_crashed' : 2 * n)));
  expect(crashes).toBe(3);
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});
