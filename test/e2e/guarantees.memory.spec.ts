import { expect, test } from 'vitest';
import { inParallel, openFleet } from '../support/fleet.js';

const MAX_MEMORY = 64 * 1024 * 1024;

test('with 64 MB of Redis and submissions without end, some are refused, none fails, and all accepted jobs end', async () => {
  const fleet = await openFleet({ model: 'wordnet-embed', redis: { maxmemory: '64mb' } });
  const api = await fleet.startApi();
  const worker = await fleet.startWorker();
  // A result of 192 numbers per item: about 0.8 MB per job.
  const input = Array.from({ length: 1000 }, (_, n) => ['fish', 'tree', 'stone'][n % 3]);
  const accepted: string[] = [];
  const refused: Response[] = [];
  const other: number[] = [];
  let mostUsed = 0;
  await inParallel(8, Array(160).fill(input), async (each) => {
    const response = await api.post('/v1/jobs', { model: 'wordnet-embed', input: each });
    if (response.status === 202) accepted.push(((await response.json()) as { id: string }).id);
    else if (response.status === 429) refused.push(response);
    else other.push(response.status);
    const used = /used_memory:(\d+)/.exec(await fleet.redis.info('memory'))!;
    mostUsed = Math.max(mostUsed, Number(used[1]));
  });
  console.log(
    `accepted ${accepted.length}, refused ${refused.length}, most memory ${(mostUsed / 2 ** 20).toFixed(1)} MiB`,
  );
  expect(other).toEqual([]);
  expect(accepted.length).toBeGreaterThan(10);
  expect(refused.length).toBeGreaterThan(10);
  for (const response of refused) {
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(await response.json()).toMatchObject({ code: 'memory_full' });
  }
  // Whoever is told 202 gets a result: what it needs was set aside.
  const jobs = await inParallel(2, accepted, async (id) => {
    const { status, items, output } = await api.end(id);
    return { status, done: items.done, outputs: (output as unknown[]).length };
  });
  expect(jobs).toEqual(accepted.map(() => ({ status: 'completed', done: 1000, outputs: 1000 })));
  expect(mostUsed).toBeLessThan(MAX_MEMORY);
  expect(worker.output()).not.toMatch(/OOM/);
  expect(await fleet.redis.hmget(`${fleet.tag}:state`, 'jobs', 'reserved')).toEqual(['0', '0']);
});
