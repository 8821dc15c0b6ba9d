import type { JobView } from '@shoal/contracts';
import { expect } from 'vitest';
import { inParallel } from '../support/fleet.js';
import { countersOf, openRig } from './rig.js';
import { scenario, sized } from './scenario.js';
import { itemOf, openScripted, SCRIPTED_MODEL } from './scripted.js';

const ROUNDS = sized(5, 1);
const ITEMS = 64;
const PASS_MS = 300;
const FROZEN = 1;
const OTHER = 2;

/** The label of each output: who wrote it. */
const writers = ({ output }: JobView) => (output as { label: string }[][]).map((best) => best[0]!.label);

scenario(`worker frozen past its lock × ${ROUNDS}`, async (row) => {
  row.load = `arrays of ${ITEMS}, passes of ${PASS_MS} ms`;
  const rig = await openRig(SCRIPTED_MODEL);
  const api = await rig.startApi();
  const scripted = openScripted(rig, { runs: 2 });
  const frozen = await scripted.start({ label: FROZEN });
  let stale = 0;
  let refused = 0;
  const ids: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const from = round * 2 * ITEMS;
    const array = (first: number) => Array.from({ length: ITEMS }, (_, n) => itemOf(first + n, PASS_MS));
    const openOf = (label: number) => scripted.passes().open.get(label) ?? [];
    const id = await api.submit(array(from));
    await expect.poll(() => openOf(FROZEN).length, { interval: 5, timeout: 30_000 }).toBeGreaterThan(8);
    frozen.kill('SIGSTOP');
    const held = openOf(FROZEN);
    expect(held.length).toBeGreaterThan(0);
    const other = await scripted.start({ label: OTHER });
    const before = await api.end(id);
    expect(before).toMatchObject({ status: 'completed', items: { done: ITEMS, failed: 0 } });
    expect(await other.stop()).toBe('exit code 0');

    frozen.kill('SIGCONT');
    await expect.poll(() => openOf(FROZEN), { interval: 20, timeout: 30_000 }).toEqual([]);
    // Only the thawed worker is left; what it writes of this job is written after all that it had still to write.
    const next = await api.end(await api.submit(array(from + ITEMS)));
    const [mine] = writers(next);
    expect(new Set(writers(next)).size).toBe(1);
    const after = await api.end(id);
    expect(after).toEqual(before);
    const byOther = writers(after).map((writer) => writer !== mine);
    stale += held.length;
    refused += held.filter((n) => byOther[n - from]).length;
    ids.push(id, next.id);
  }
  const jobs = await inParallel(8, ids, (id) => api.end(id));
  row.jobs = jobs.length;
  row.lost = jobs.filter(({ status }) => status !== 'completed').length;
  row.duplicated = ids.filter((id) => rig.endings.get(id) !== 1).length + stale - refused;
  row.note = `${stale} stale results, ${refused} refused`;
  expect(refused).toBe(stale);
  expect({ lost: row.lost, duplicated: row.duplicated }).toEqual({ lost: 0, duplicated: 0 });
  expect(await countersOf(rig)).toMatchObject({ jobs: 0, tokens: 0, reserved: 0, outstanding: {} });
});
