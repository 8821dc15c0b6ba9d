import { expect, inject, test } from 'vitest';
import { startOwnRedis } from '../support/own-redis.js';
import { openBench } from '../support/queue-harness.js';
import { type Run } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');

/** A vector of `value` numbers, each of them the vector's length. */
const vectors: Run = async (values) =>
  values.map((value) => ({ kind: 'vector', values: new Float32Array(value).fill(value), dims: [value] }));

test('a result of any size is read whole, however often it is asked for at once', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  await bench.startWorker({ run: vectors, limits: { maxBatchSize: 4 } });
  const inputs = [
    10,
    [10, 20, 30],
    1_800_000,
    [300_000, 5, 200_000, 100_000, 400_000],
    Array.from({ length: 300 }, () => 900),
  ];
  for (const input of inputs) {
    const id = await bench.submit(input, { resultBytes: 8_000_000 });
    const records = [
      await bench.end(id),
      ...(await Promise.all(Array.from({ length: 3 }, () => bench.store.get('acme', id)))),
    ];
    for (const { state, results, resultBytes } of records) {
      const lengths = results.map((result) => {
        const output = result?.output;
        if (output?.kind !== 'vector') return null;
        return output.values.every((value) => value === output.values.length) ? output.values.length : 'mixed up';
      });
      expect({ state, lengths }).toEqual({ state: 'completed', lengths: [input].flat() });
      const bytes = 4 * [input].flat().reduce((sum, length) => sum + length, 0);
      expect(resultBytes).toBeGreaterThan(bytes);
      expect(resultBytes).toBeLessThan(bytes + 400 * results.length);
    }
  }
});

test("a tenant's large reads hold up neither its own submissions nor those of others", async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  await bench.startWorker({ run: vectors });
  const id = await bench.submit(1_750_000, { resultBytes: 8_000_000 });
  await bench.end(id);
  const reads = Promise.all(Array.from({ length: 40 }, () => bench.store.get('acme', id)));
  const small = Promise.all(
    Array.from({ length: 40 }, (_, n) => bench.submit(1, { tenant: n % 2 ? 'acme' : 'other' })),
  );
  expect(await small).toHaveLength(40);
  expect((await reads).map(({ state }) => state)).toEqual(Array.from({ length: 40 }, () => 'completed'));
});

test('a large result that is erased while it is read is gone, not cut short', async () => {
  const bench = await openBench({ redisUrl });
  await bench.startWorker({ run: vectors });
  const id = await bench.submit(
    Array.from({ length: 200 }, () => 9000),
    { resultBytes: 8_000_000 },
  );
  await bench.end(id);
  const reads = Array.from({ length: 30 }, () =>
    bench.store.get('acme', id).then(
      ({ done }) => done,
      ({ code }) => code,
    ),
  );
  await bench.store.remove('acme', id);
  for (const read of await Promise.all(reads)) expect([200, 'job_not_found']).toContain(read);
});
