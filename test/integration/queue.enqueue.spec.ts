import { setTimeout as pause } from 'node:timers/promises';
import type { JobRecord } from '@shoal/contracts';
import type { NewJob } from '@shoal/queue';
import { expect, inject, onTestFinished, test } from 'vitest';
import { startOwnRedis } from '../support/own-redis.js';
import { type Bench, NOTHING_LEFT, openBench, TENANT } from '../support/queue-harness.js';
import { outcomes } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');

test('a job that was recorded but not enqueued is enqueued later', async () => {
  const bench = await openBench({ redisUrl });
  const idempotency = { key: bench.queue, fingerprint: 'a' };
  // BullMQ counts its jobs here: as long as it is no number, nothing can be added.
  await bench.redis.hset(`${bench.tag}:chunks:id`, 'a', 1);
  await expect(bench.submit([1, 2], { idempotency })).rejects.toMatchObject({ code: 'internal_error' });
  const { records } = await bench.store.list(TENANT, { limit: 10 });
  expect(records).toMatchObject([{ state: 'queued', total: 2 }]);
  await bench.redis.del(`${bench.tag}:chunks:id`);

  await bench.startWorker();
  const record = await bench.end(records[0]!.id);
  expect(outcomes(record)).toEqual([2, 4]);
  expect(await bench.store.submit([bench.job([1, 2], { idempotency })])).toEqual([{ id: record.id, created: false }]);
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
  await expect.poll(() => bench.redis.hlen(`${bench.tag}:commits`)).toBe(0);
});

test('connections cut over and over during 1,000 jobs: each has exactly one result', async () => {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  const endings = await bench.countEndings();
  const { redis } = bench;
  // Small batches: there are the more replies to lose.
  for (let n = 0; n < 2; n++) await bench.startWorker({ limits: { maxBatchSize: 8 } });
  const stopCutting = cutConnections(redis);
  onTestFinished(stopCutting);
  const jobs = Array.from({ length: 1000 }, (_, n) =>
    bench.job([n, n + 1], { idempotency: { key: `job-${n}`, fingerprint: 'a' } }),
  );
  const ids = await submitPersistently(bench, jobs);
  const served = async () => Number(await redis.hget(`${bench.tag}:state`, 'served'));
  await expect.poll(served).toBeGreaterThanOrEqual(4000);
  const records = await Promise.all(ids.map((id) => endPersistently(bench, id)));
  await stopCutting();
  expect(records.map(outcomes)).toEqual(ids.map((_, n) => [2 * n, 2 * n + 2]));
  expect(new Set(ids).size).toBe(1000);
  expect(ids.map((id) => endings.get(id))).toEqual(ids.map(() => 1));
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
});

/** As callers do: 503 means unknown, so repeat with the same key until there is an answer. */
async function submitPersistently(bench: Bench, jobs: readonly NewJob[]): Promise<string[]> {
  const ids: string[] = new Array(jobs.length);
  let open = [...jobs.keys()];
  while (open.length > 0) {
    const answers = await bench.store.submit(open.map((n) => jobs[n]!));
    open = open.filter((n, i) => {
      const answer = answers[i]!;
      if (answer instanceof Error) expect(answer).toMatchObject({ code: 'redis_unavailable' });
      else ids[n] = answer.id;
      return answer instanceof Error;
    });
    await pause(10);
  }
  return ids;
}

/** As callers do as well: a read that met with 503 is repeated. */
async function endPersistently(bench: Bench, id: string): Promise<JobRecord> {
  for (;;) {
    const record = await bench.end(id).catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'redis_unavailable' });
      return undefined;
    });
    if (record !== undefined) return record;
    await pause(10);
  }
}

/**
 * Cuts every connection but this one whenever Redis has done so much since the last cut: about every 60 ms on a machine that is
 * quiet, and on a busy one no less gets through between two cuts. What it returns resolves after the last cut.
 */
function cutConnections(redis: Bench['redis']): () => Promise<void> {
  const COMMANDS = 400;
  const stop = new AbortController();
  const cut = async () => {
    for (let last = 0; !stop.signal.aborted; await pause(20)) {
      const stats = await redis.info('stats');
      const done = Number(/total_commands_processed:(\d+)/.exec(stats)?.[1]);
      if (done - last < COMMANDS) continue;
      last = done;
      await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    }
  };
  const over = cut();
  return async () => {
    stop.abort();
    await over;
  };
}
