import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { readMetric } from '../support/fleet.js';
import { hasEnded, type Running } from '../support/processes.js';
import type { Load } from './load.js';
import { MAX_RESUME_S, openTrouble, type Trouble } from './redis-trouble.js';
import { audit } from './rig.js';
import { type Row, scenario, sized } from './scenario.js';

const CRASHES = sized(5, 2);
const AWAY_S = sized(60, 15);
const MAX_ANSWER_MS = 2000;

/** From now until every worker has run something more, in s. */
async function resume(workers: readonly Running[]): Promise<number> {
  const started = performance.now();
  const ran = () => Promise.all(workers.map(({ metricsUrl }) => readMetric(metricsUrl, 'shoal_inferences_total')));
  const before = await ran();
  await expect
    .poll(async () => (await ran()).every((count, n) => count > before[n]!), { interval: 50, timeout: 120_000 })
    .toBe(true);
  return (performance.now() - started) / 1000;
}

/** Callers were refused while Redis was away, and none of them waited longer for it than is promised. */
function expectRefusals({ refusals }: Load, row: Row): void {
  expect(refusals.filter(({ status }) => status === 503).length).toBeGreaterThan(0);
  const slowest = Math.max(...refusals.map(({ ms }) => ms));
  row.note = `${refusals.length} refusals, the slowest after ${slowest.toFixed(0)} ms`;
  expect(refusals.filter(({ status }) => status !== 503)).toEqual([]);
  expect(slowest).toBeLessThan(MAX_ANSWER_MS);
}

async function expectHeld({ rig, load, workers }: Trouble, row: Row): Promise<void> {
  await audit(rig, load, row);
  expectRefusals(load, row);
  expect(workers.filter(({ pid }) => hasEnded(pid))).toEqual([]);
  expect(row.recovery).toBeLessThanOrEqual(MAX_RESUME_S);
}

const refused = ({ load }: Trouble) => load.refusals.filter(({ status }) => status === 503).length;

scenario(`Redis SIGKILL and restart × ${CRASHES}`, async (row) => {
  const outage = await openTrouble(row);
  const { rig, load, workers } = outage;
  const resumes: number[] = [];
  for (let crash = 0; crash < CRASHES; crash++) {
    const acked = load.acked.size;
    await expect.poll(() => load.acked.size, { interval: 20, timeout: 60_000 }).toBeGreaterThan(acked + 200);
    const before = refused(outage);
    await rig.server.crash();
    await expect.poll(() => refused(outage), { interval: 20, timeout: 60_000 }).toBeGreaterThan(before + 16);
    await rig.server.restart();
    resumes.push(await resume(workers));
  }
  row.recovery = Math.max(...resumes);
  await expectHeld(outage, row);
});

scenario(`Redis gone for ${AWAY_S} s`, async (row) => {
  const outage = await openTrouble(row);
  await resume(outage.workers);
  await outage.rig.server.crash();
  await pause(AWAY_S * 1000);
  await outage.rig.server.restart();
  row.recovery = await resume(outage.workers);
  await expectHeld(outage, row);
});

scenario(`Redis frozen for ${AWAY_S} s`, async (row) => {
  const outage = await openTrouble(row);
  await resume(outage.workers);
  outage.rig.server.freeze();
  await pause(AWAY_S * 1000);
  outage.rig.server.thaw();
  row.recovery = await resume(outage.workers);
  await expectHeld(outage, row);
});
