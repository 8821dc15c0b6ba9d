import { parseJobId } from '@shoal/queue';
import { expect } from 'vitest';
import { openRig, type Rig } from './rig.js';
import { scenario, sized } from './scenario.js';
import { itemOf, openScripted, SCRIPTED_MODEL } from './scripted.js';

const ITEMS = 400;
const PASS_MS = 50;
const KILLS = sized(4, 1);

/** Items whose results stand in the record (docs/redis.md): all but those that its slices still have to do. */
async function doneItems({ redis, tag }: Rig, id: string): Promise<Set<number>> {
  const record = await redis.hgetall(`${tag}:job:${parseJobId(id)!.ulid}`);
  const done = new Set(Array.from({ length: ITEMS }, (_, n) => n));
  for (let s = 0; s < Number(record.slices); s++) {
    if (record[`in${s}`] === undefined) continue;
    const [first, count] = record[`at${s}`]!.split(' ').map(Number) as [number, number];
    const mask = record[`mask${s}`] ?? '';
    for (let i = 0; i < count; i++) if (mask[i] !== '1') done.delete(first + i);
  }
  return done;
}

scenario(`worker SIGKILL × ${KILLS} amid one array`, async (row) => {
  row.load = `an array of ${ITEMS}, passes of ${PASS_MS} ms`;
  const rig = await openRig(SCRIPTED_MODEL);
  const api = await rig.startApi();
  const scripted = openScripted(rig);
  const id = await api.submit(Array.from({ length: ITEMS }, (_, n) => itemOf(n, PASS_MS)));
  const done = async () => (await doneItems(rig, id)).size;
  let worker = await scripted.start();
  for (let kill = 1; kill <= KILLS; kill++) {
    await expect
      .poll(done, { interval: 10, timeout: 120_000 })
      .toBeGreaterThanOrEqual(Math.floor((ITEMS * kill) / (KILLS + 1)));
    worker.kill('SIGKILL');
    await worker.exited;
    const kept = await doneItems(rig, id);
    expect(kept.size).toBeLessThan(ITEMS);
    const before = scripted.passes().starts;
    worker = await scripted.start();
    await expect.poll(done, { interval: 10, timeout: 120_000 }).toBeGreaterThan(kept.size);
    const again = scripted.passes().starts;
    expect([...kept].filter((n) => again.get(n) !== before.get(n))).toEqual([]);
  }
  const kept = await doneItems(rig, id);
  const before = scripted.passes().starts;
  const job = await api.end(id);
  const { starts } = scripted.passes();
  row.jobs = 1;
  row.lost = ITEMS - job.items.done;
  row.duplicated = [...kept].filter((n) => starts.get(n) !== before.get(n)).length;
  const total = [...starts.values()].reduce((sum, count) => sum + count, 0);
  row.note = `${total} runs of ${ITEMS} items: ${total - ITEMS} were in a pass that a kill ended`;
  expect(job).toMatchObject({ status: 'completed', items: { total: ITEMS, done: ITEMS, failed: 0 } });
  expect((job.output as { score: number }[][]).map((best) => best[0]!.score)).toEqual(
    Array.from({ length: ITEMS }, (_, n) => n),
  );
  expect({ lost: row.lost, duplicated: row.duplicated }).toEqual({ lost: 0, duplicated: 0 });
  // A kill costs no more than the micro-batch that was running.
  expect(total - ITEMS).toBeLessThanOrEqual(8 * KILLS);
  expect(rig.endings.get(id)).toBe(1);
});
