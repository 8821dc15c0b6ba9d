import { setTimeout as pause } from 'node:timers/promises';
import type { JobRecord } from '@shoal/contracts';
import type { Admitted } from '@shoal/queue';
import { expect } from 'vitest';
import { startOwnRedis } from '../support/own-redis.js';
import { type Bench, NOTHING_LEFT, openBench, TENANT } from '../support/queue-harness.js';
import { type Row, scenario, sized } from './scenario.js';

const RACES = sized(1000, 200);
const BATCH = 4;
const DEADLINE_MS = 100;
/** Each side has to win some, else there was no race. */
const FEWEST_WINS = RACES / 20;

interface Raced {
  readonly bench: Bench;
  readonly ids: readonly string[];
  readonly endings: ReadonlyMap<string, number>;
  /** Races won by the forward pass. */
  readonly finished: number;
}

async function expectOneEnd({ bench, ids, endings, finished }: Raced, row: Row): Promise<void> {
  row.jobs = ids.length;
  row.lost = ids.filter((id) => !endings.has(id)).length;
  row.duplicated = ids.filter((id) => (endings.get(id) ?? 0) > 1).length;
  row.note = `the forward pass won ${finished} of ${ids.length}`;
  expect(ids).toHaveLength(RACES);
  expect({ lost: row.lost, duplicated: row.duplicated }).toEqual({ lost: 0, duplicated: 0 });
  expect(await bench.counters()).toEqual(NOTHING_LEFT);
  expect(finished).toBeGreaterThan(FEWEST_WINS);
  expect(RACES - finished).toBeGreaterThan(FEWEST_WINS);
}

/** Submits RACES jobs whose forward pass begins `end` of each of them and ends at about the same time. */
async function raceWithCalls(end: (bench: Bench, id: string) => Promise<unknown>) {
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  const other = await bench.openStore();
  const endings = await bench.countEndings();
  const jobs = Array.from({ length: RACES }, (_, n) => bench.job(n));
  const ids = (await bench.store.submit(jobs)).map((entry) => (entry as Admitted).id);
  const calls: Promise<unknown>[] = [];
  const worker = await bench.startWorker({
    limits: { maxBatchSize: BATCH },
    // The calls leave on another connection, some before and some after the publishing of this pass.
    async run(values) {
      calls.push(
        ...values.map((value) => pause(8 * Math.random()).then(() => end({ ...bench, store: other }, ids[value]!))),
      );
      await pause(1);
      return values;
    },
  });
  await expect.poll(() => calls.length, { timeout: 60_000 }).toBe(RACES);
  await Promise.all(calls);
  await expect.poll(() => bench.redis.hget(`${bench.tag}:state`, 'jobs'), { timeout: 60_000 }).toBe('0');
  await worker.stop();
  return { bench, ids, endings };
}

scenario(`cancel against finish × ${RACES}`, async (row) => {
  row.load = `passes of ${BATCH}`;
  const seen = new Map<string, JobRecord>();
  const raced = await raceWithCalls(async ({ store }, id) => void seen.set(id, await store.cancel(TENANT, id)));
  const records = await Promise.all(raced.ids.map((id) => raced.bench.store.get(TENANT, id)));
  // What the caller was told stays so.
  expect(records).toEqual(raced.ids.map((id) => seen.get(id)));
  expect(records.filter(({ state }) => state !== 'completed' && state !== 'cancelled')).toEqual([]);
  await expectOneEnd({ ...raced, finished: records.filter(({ state }) => state === 'completed').length }, row);
});

scenario(`delete against publish × ${RACES}`, async (row) => {
  row.load = `passes of ${BATCH}`;
  let finished = 0;
  const raced = await raceWithCalls(async ({ store, redis, recordKey }, id) => {
    // Read in the same turn, on a third connection: close enough to tell that both sides win some.
    const [state] = await Promise.all([redis.hget(recordKey(id), 'state'), store.remove(TENANT, id)]);
    if (state === 'completed') finished++;
  });
  const gone = await Promise.allSettled(raced.ids.map((id) => raced.bench.store.get(TENANT, id)));
  expect(gone.filter(({ status }) => status === 'fulfilled')).toEqual([]);
  const keys = await raced.bench.keys();
  expect(keys.filter((key) => /^(job|index|due|forget)/.test(key))).toEqual([]);
  await expectOneEnd({ ...raced, finished }, row);
});

scenario(`deadline against finish × ${RACES}`, async (row) => {
  row.load = `passes of ${BATCH}, four sweepers`;
  const bench = await openBench({ redisUrl: await startOwnRedis() });
  const endings = await bench.countEndings();
  // Each sweeps every 250 ms.
  for (let n = 1; n < 4; n++) await bench.openStore();
  const worker = await bench.startWorker({
    limits: { maxBatchSize: BATCH },
    // The deadline passes meanwhile, or just after; the sweep that notices it comes up to 250 ms later.
    async run(values) {
      await pause(DEADLINE_MS * (0.8 + Math.random()));
      return values;
    },
  });
  const ids: string[] = [];
  while (ids.length < RACES) {
    const jobs = Array.from({ length: BATCH }, (_, n) => bench.job(n, { deadline: { in: DEADLINE_MS } }));
    const round = (await bench.store.submit(jobs)).map((entry) => (entry as Admitted).id);
    await Promise.all(round.map((id) => bench.end(id)));
    ids.push(...round);
  }
  // Its last results come too late and must change nothing.
  await worker.stop();
  const records = await Promise.all(ids.map((id) => bench.end(id)));
  expect(records.filter(({ state }) => state !== 'completed' && state !== 'expired')).toEqual([]);
  // Raced in the pass, not before it.
  expect(records.filter(({ startedAt }) => startedAt !== null).length).toBeGreaterThan(RACES / 2);
  const finished = records.filter(({ state }) => state === 'completed').length;
  await expectOneEnd({ bench, ids, endings, finished }, row);
});
