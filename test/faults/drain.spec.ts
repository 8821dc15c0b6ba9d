import { expect } from 'vitest';
import { readMetric } from '../support/fleet.js';
import type { Running } from '../support/processes.js';
import { Load } from './load.js';
import { audit, openRig, type Rig } from './rig.js';
import { scenario, sized } from './scenario.js';
import { itemOf, openScripted, SCRIPTED_MODEL } from './scripted.js';

const DRAINS = sized(50, 5);
const WAITING = 20;
const TEXTS = ['a large fish', 'a musical instrument with strings', 'a feeling of great joy', 'the act of buying'];

interface Drained {
  readonly rig: Rig;
  /** One of two workers, which take turns. */
  readonly start: () => Promise<Running>;
  readonly busy: (worker: Running) => Promise<unknown>;
}

/** Resolves to the longest time in s from SIGTERM to the end of the process. */
async function drainInTurns({ rig, start, busy }: Drained): Promise<number> {
  const workers = [await start(), await start()];
  let longest = 0;
  for (let drain = 0; drain < DRAINS; drain++) {
    const n = drain % 2;
    await busy(workers[n]!);
    const signalled = performance.now();
    expect(await workers[n]!.stop()).toBe('exit code 0');
    longest = Math.max(longest, (performance.now() - signalled) / 1000);
    workers[n] = await start();
  }
  expect(await rig.countEvents('active')).toBeGreaterThan(0);
  return longest;
}

scenario(`worker SIGTERM × ${DRAINS}, two workers`, async (row) => {
  row.load = `single texts, ${WAITING} chunks waiting`;
  const rig = await openRig({ model: 'wordnet-topic', env: { SHOAL_CONCURRENT_RUNS: '1' } });
  const api = await rig.startApi();
  const load = new Load({
    replicas: () => [api.url],
    body: (n) => ({ model: rig.model, input: TEXTS[n % TEXTS.length] }),
    room: () => rig.waiting() < WAITING,
  });
  const longest = await drainInTurns({
    rig,
    start: () => rig.startWorker(),
    busy: ({ metricsUrl }) =>
      expect
        .poll(() => readMetric(metricsUrl, 'shoal_inferences_total'), { interval: 5, timeout: 60_000 })
        .toBeGreaterThan(0),
  });
  const jobs = await audit(rig, load, row);
  row.note = `longest drain ${longest.toFixed(2)} s`;
  // The same text has the same label, whoever ran it.
  const labels = jobs.map(({ output }) => (output as { label: string }[])[0]!.label);
  expect(new Set(labels).size).toBe(TEXTS.length);
  expect(Math.max(...jobs.map(({ attempts }) => attempts))).toBe(1);
  expect([...load.acked.values()].filter((id) => rig.endings.get(id) !== 1)).toEqual([]);
  expect(await rig.countEvents('stalled')).toBe(0);
});

scenario(`worker SIGTERM × ${DRAINS}, runs counted`, async (row) => {
  row.load = `arrays of 16, passes of 20 ms, ${WAITING} chunks waiting`;
  const rig = await openRig(SCRIPTED_MODEL);
  const api = await rig.startApi();
  const scripted = openScripted(rig);
  let label = 0;
  const load = new Load({
    replicas: () => [api.url],
    body: (n) => ({ model: rig.model, input: Array.from({ length: 16 }, (_, i) => itemOf(16 * n + i, 20)) }),
    room: () => rig.waiting() < WAITING,
  });
  const labels = new Map<Running, number>();
  const longest = await drainInTurns({
    rig,
    async start() {
      label++;
      const worker = await scripted.start({ label });
      labels.set(worker, label);
      return worker;
    },
    busy: (worker) =>
      expect
        .poll(() => scripted.passes().open.get(labels.get(worker)!)?.length ?? 0, { interval: 5, timeout: 60_000 })
        .toBeGreaterThan(0),
  });
  await audit(rig, load, row);
  const { starts } = scripted.passes();
  row.duplicated! += [...starts.values()].filter((count) => count > 1).length;
  row.note = `longest drain ${longest.toFixed(2)} s`;
  expect(starts.size).toBe(16 * load.acked.size);
  expect(row.duplicated).toBe(0);
  expect(await rig.countEvents('stalled')).toBe(0);
});
