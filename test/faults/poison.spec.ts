import { expect } from 'vitest';
import { openRig } from './rig.js';
import { scenario } from './scenario.js';
import { itemOf, openScripted, SCRIPTED_MODEL, type Script } from './scripted.js';

const ITEMS = 64;
const POISON = 20;
const MAX_CRASHES = 4;
/** Tokens of an item: what a worker holds is counted in them. */
const ITEM_TOKENS = 2;
/** Each crash costs one recovery of at most 15 s. */
const MAX_RECOVERY_S = 15 * MAX_CRASHES;

for (const batch of [1, 8, 32]) {
  scenario(`poison input, batches of ${batch}`, async (row) => {
    row.load = `1 in ${ITEMS}, two workers that hold four micro-batches`;
    row.jobs = 1 + ITEMS / 2;
    const rig = await openRig(SCRIPTED_MODEL);
    const scripted = openScripted(rig, { batch, tokens: ITEM_TOKENS * batch, poison: POISON });
    // A worker tells the size of its micro-batches; an API that starts after it cuts chunks to fit.
    await (await scripted.start()).stop();
    const api = await rig.startApi();
    const items = Array.from({ length: ITEMS }, (_, n) => itemOf(n, 5));
    const ids = [await api.submit(items.slice(0, ITEMS / 2)), ...(await api.submitBulk(items.slice(ITEMS / 2)))];

    const started = performance.now();
    let crashes = 0;
    let over = false;
    const keepAlive = async (script: Partial<Script>) => {
      while (!over) {
        const worker = await scripted.start(script);
        if ((await Promise.race([worker.exited, ended])) === 'ended') return;
        crashes++;
      }
    };
    const ended = Promise.all(ids.map((id) => api.end(id))).then(() => {
      over = true;
      return 'ended';
    });
    await Promise.all([keepAlive({ label: 1 }), keepAlive({ label: 2 })]);
    row.recovery = (performance.now() - started) / 1000;
    const [array, ...singles] = await Promise.all(ids.map((id) => api.end(id)));
    row.lost = ITEMS - array!.items.done - singles.length;
    row.duplicated = [...rig.endings.values()].filter((count) => count > 1).length;
    row.note = `${crashes} crashes`;

    expect(array).toMatchObject({ status: 'completed', items: { total: ITEMS / 2, done: ITEMS / 2, failed: 1 } });
    expect(array!.errors).toMatchObject([{ index: POISON, code: 'worker_crashed' }]);
    expect(singles.filter(({ status }) => status !== 'completed')).toEqual([]);
    expect({ lost: row.lost, duplicated: row.duplicated }).toEqual({ lost: 0, duplicated: 0 });
    expect(crashes).toBeLessThanOrEqual(MAX_CRASHES);
    expect(row.recovery).toBeLessThanOrEqual(MAX_RECOVERY_S);
    expect(scripted.passes().starts.get(POISON)).toBe(crashes);
  });
}
