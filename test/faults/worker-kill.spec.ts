import { expect } from 'vitest';
import { readMetric } from '../support/fleet.js';
import { Load } from './load.js';
import { audit, openRig, type Rig, redisTime } from './rig.js';
import { scenario, sized } from './scenario.js';

const KILLS = sized(20, 3);
const MAX_RECOVERY_S = 15;
const ITEMS = 8;
const WAITING = 20;
/** About 60 tokens: passes that take a while, so that a kill finds some. */
const TEXT = 'a large fish that lives in the sea and eats smaller fish that live near the bottom of it '.repeat(3);

/** Records of the jobs in chunks that some worker has fetched. */
async function heldRecords({ redis, tag }: Rig): Promise<string[]> {
  const ids = await redis.lrange(`${tag}:chunks:active`, 0, -1);
  const chunks = await Promise.all(ids.map((id) => redis.hget(`${tag}:chunks:${id}`, 'data')));
  return chunks.flatMap((data) => {
    if (!data) return [];
    const { slices } = JSON.parse(data) as { slices: [ulid: string, slice: number][] };
    return slices.map(([ulid]) => `${tag}:job:${ulid}`);
  });
}

/** The last end of the jobs, by Redis's clock, once all have ended. */
async function lastEnd({ redis }: Rig, records: readonly string[]): Promise<number> {
  const ends: number[] = [];
  await expect
    .poll(
      async () => {
        const found = await Promise.all(records.slice(ends.length).map((key) => redis.hget(key, 'ended')));
        for (const end of found) {
          if (end === null) break;
          ends.push(Number(end));
        }
        return ends.length;
      },
      { interval: 100, timeout: 120_000 },
    )
    .toBe(records.length);
  return Math.max(...ends);
}

scenario(`worker SIGKILL × ${KILLS}, two workers`, async (row) => {
  row.load = `jobs of ${ITEMS} texts, ${WAITING} chunks waiting`;
  const rig = await openRig({
    model: 'wordnet-topic',
    limits: { max_batch_size: 32, max_queued_tokens: 4_000_000 },
    env: { SHOAL_CONCURRENT_RUNS: '1' },
  });
  const api = await rig.startApi();
  const workers = [await rig.startWorker(), await rig.startWorker()];
  const load = new Load({
    replicas: () => [api.url],
    body: () => ({ model: rig.model, input: Array(ITEMS).fill(TEXT) }),
    room: () => rig.waiting() < WAITING,
  });

  const recoveries: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const n = kill % 2;
    const { metricsUrl } = workers[n]!;
    await expect
      .poll(() => readMetric(metricsUrl, 'shoal_items_in_flight'), { interval: 5, timeout: 60_000 })
      .toBeGreaterThan(0);
    workers[n]!.kill('SIGKILL');
    const killed = await redisTime(rig.redis);
    expect(await workers[n]!.exited).toBe('SIGKILL');
    // The other worker's are among them: they end soon.
    const held = await heldRecords(rig);
    workers[n] = await rig.startWorker();
    recoveries.push(((await lastEnd(rig, held)) - killed) / 1000);
  }
  await audit(rig, load, row);
  row.recovery = Math.max(...recoveries);
  const stalled = await rig.countEvents('stalled');
  row.note = `recovery of each kill in s: ${recoveries.map((s) => s.toFixed(1)).join(' ')}; ${stalled} chunks stalled`;
  // Every kill found the worker at work.
  expect(stalled).toBeGreaterThanOrEqual(KILLS);
  expect(row.recovery).toBeLessThanOrEqual(MAX_RECOVERY_S);
});
