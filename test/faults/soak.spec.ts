import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { Load } from './load.js';
import { countersOf, keysWithoutExpiry, openRig, type Rig } from './rig.js';
import { scenario } from './scenario.js';
import { Usage } from './usage.js';

const MINUTES = Number(process.env.SHOAL_FAULTS_MINUTES ?? 10);
const SHARE = 0.7;
const MEASURE_S = 15;
const RETENTION_S = 20;
const MAX_GROWTH = 0.02;
const TEXTS = ['a large fish', 'a musical instrument with strings', 'a feeling of great joy', 'the act of buying'];

/** Jobs per second that the fleet completes when there is always work. */
async function measureCapacity(rig: Rig, url: string): Promise<number> {
  const load = new Load({
    replicas: () => [url],
    body: () => ({ model: rig.model, input: TEXTS }),
    room: () => rig.waiting() < 20,
    keyed: false,
  });
  await pause((MEASURE_S / 3) * 1000);
  const [before, started] = [rig.endings.size, performance.now()];
  await pause(MEASURE_S * 1000);
  const rate = (rig.endings.size - before) / ((performance.now() - started) / 1000);
  await load.settle();
  return rate;
}

scenario(`none, for ${MINUTES} minutes`, async (row) => {
  const rig = await openRig({
    model: 'wordnet-topic',
    env: { SHOAL_CONCURRENT_RUNS: '1', SHOAL_RESULT_TTL: `${RETENTION_S}s` },
  });
  const api = await rig.startApi();
  const workers = [await rig.startWorker(), await rig.startWorker()];
  // As the API has set it: keeping every event is for scenarios that count them.
  await rig.redis.hset(`${rig.tag}:chunks:meta`, 'opts.maxLenEvents', 10);
  const rate = SHARE * (await measureCapacity(rig, api.url));
  row.load = `${rate.toFixed(0)} arrays of 4 a second, ${100 * SHARE} % of what is possible`;

  const usage = new Usage({
    api: api.process.pid,
    'worker 1': workers[0]!.pid,
    'worker 2': workers[1]!.pid,
    redis: rig.server.pid(),
  });
  const started = performance.now();
  let issued = 0;
  const load = new Load({
    replicas: () => [api.url],
    body: () => ({ model: rig.model, input: TEXTS }),
    room: () => issued < rate * ((performance.now() - started) / 1000) && ++issued > 0,
    callers: 16,
    keyed: false,
  });
  await pause(MINUTES * 60_000);
  const total = performance.now() - started;
  await load.stop();
  const ids = [...load.acked.values()];
  await expect.poll(() => countersOf(rig), { timeout: 60_000 }).toMatchObject({ jobs: 0, tokens: 0, reserved: 0 });
  row.jobs = ids.length;
  row.lost = ids.filter((id) => !rig.endings.has(id)).length;
  row.duplicated = ids.filter((id) => (rig.endings.get(id) ?? 0) > 1).length;

  const stretch = (from: number, to: number) => [started + from * total, started + to * total] as const;
  const growths = usage.growth(stretch(0.3, 0.5), stretch(0.8, 1));
  row.note = growths
    .map(({ name, mib, growth, descriptors }) => {
      const change = `${mib[0].toFixed(1)} → ${mib[1].toFixed(1)} MiB (${(100 * growth).toFixed(2)} %)`;
      return `${name} ${change}, ${descriptors[0]} → ${descriptors[1]} files`;
    })
    .join('; ');
  expect({ lost: row.lost, duplicated: row.duplicated }).toEqual({ lost: 0, duplicated: 0 });
  expect(load.refusals).toEqual([]);
  // What is kept for a while has gone after it, with everything that points to it.
  await expect.poll(() => keysWithoutExpiry(rig), { interval: 1000, timeout: 3 * RETENTION_S * 1000 }).toEqual([]);
  await expect.poll(() => rig.redis.keys(`${rig.tag}:job:*`), { interval: 1000, timeout: 60_000 }).toEqual([]);
  expect(growths.filter(({ descriptors: [first, last] }) => last > first)).toEqual([]);
  expect(growths.filter(({ growth }) => growth >= MAX_GROWTH)).toEqual([]);
});
