import { expect } from 'vitest';
import { type Api, inParallel, openFleet } from '../support/fleet.js';
import { startCuttingProxy } from './cutting-proxy.js';
import { Load } from './load.js';
import { audit, countersOf, openRig } from './rig.js';
import { scenario, sized } from './scenario.js';
import { itemOf, openScripted, SCRIPTED_MODEL } from './scripted.js';

const KILLS = sized(20, 4);
const ACKS_BETWEEN = 50;
const WAITING = 20;
const ROUNDS = sized(6, 2);
const JOBS = 20;
const TEXTS = ['a large fish', 'a musical instrument with strings', 'a feeling of great joy', 'the act of buying'];

scenario(`API SIGKILL × ${KILLS}, two replicas`, async (row) => {
  row.load = `arrays of 4, ${WAITING} chunks waiting`;
  const rig = await openRig({ model: 'wordnet-topic', env: { SHOAL_CONCURRENT_RUNS: '1' } });
  const apis = [await rig.startApi(), await rig.startApi()];
  await rig.startWorker();
  const load = new Load({
    replicas: () => apis.map(({ url }) => url),
    body: () => ({ model: rig.model, input: TEXTS }),
    room: () => rig.waiting() < WAITING,
  });
  for (let kill = 0; kill < KILLS; kill++) {
    const acked = load.acked.size;
    await expect.poll(() => load.acked.size, { interval: 5, timeout: 60_000 }).toBeGreaterThan(acked + ACKS_BETWEEN);
    const { process } = apis[kill % 2]!;
    process.kill('SIGKILL');
    expect(await process.exited).toBe('SIGKILL');
    apis[kill % 2] = await rig.startApi();
  }
  await audit(rig, load, row);
  row.note = `${load.refusals.length} calls were cut off or found nobody, and were repeated`;
  expect(load.refusals.length).toBeGreaterThan(0);
});

/** One bulk call whose API is killed when the records are written and the chunks are not. */
async function crashBetween(api: Api, cut: Promise<void>, call: () => Promise<unknown>): Promise<void> {
  const answered = call().then(
    () => 'answered',
    () => 'cut off',
  );
  await cut;
  api.process.kill('SIGKILL');
  expect(await api.process.exited).toBe('SIGKILL');
  expect(await answered).toBe('cut off');
}

scenario(`API SIGKILL between record and enqueue × ${ROUNDS}`, async (row) => {
  row.load = `bulk calls of ${JOBS} jobs, every other repeated`;
  const rig = await openRig(SCRIPTED_MODEL);
  const scripted = openScripted(rig);
  await scripted.start();
  const stays = await rig.startApi();
  const recoveries: number[] = [];
  const ids = new Set<string>();
  for (let round = 0; round < ROUNDS; round++) {
    const before = new Set(await rig.redis.keys(`${rig.tag}:job:*`));
    // BullMQ's script is the only one that names this key.
    const proxy = await startCuttingProxy(rig.redisUrl, `${rig.tag}:chunks:prioritized`);
    const dies = await (await openFleet({ ...SCRIPTED_MODEL, redisUrl: proxy.url })).startApi();
    const jobs = Array.from({ length: JOBS }, (_, n) => ({ model: rig.model, input: itemOf(JOBS * round + n, 1) }));
    const call = (api: Api) =>
      fetch(`${api.url}/v1/jobs/bulk`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': `round-${round}` },
        body: JSON.stringify({ jobs }),
      });
    await crashBetween(dies, proxy.cut, () => call(dies));
    const crashed = performance.now();
    const records = (await rig.redis.keys(`${rig.tag}:job:*`)).filter((key) => !before.has(key));
    expect(records).toHaveLength(JOBS);
    expect(await rig.redis.hlen(`${rig.tag}:commits`)).toBe(1);
    expect(await rig.redis.zcard(`${rig.tag}:chunks:prioritized`)).toBe(0);
    const own = records.map((key) => `${rig.tag.slice('{shoal:'.length, -1)}.${key.slice(key.lastIndexOf(':') + 1)}`);
    if (round % 2 === 1) {
      const { data } = (await (await call(stays)).json()) as { data: { job: { id: string } }[] };
      expect(data.map(({ job }) => job.id).sort()).toEqual([...own].sort());
    }
    const ended = await inParallel(JOBS, own, (id) => stays.end(id));
    recoveries.push((performance.now() - crashed) / 1000);
    expect(ended.filter(({ status }) => status !== 'completed')).toEqual([]);
    for (const id of own) ids.add(id);
    await expect.poll(() => rig.redis.hlen(`${rig.tag}:commits`), { timeout: 30_000 }).toBe(0);
  }
  const { starts } = scripted.passes();
  row.jobs = ids.size;
  row.lost = ROUNDS * JOBS - starts.size;
  row.duplicated = [...starts.values()].filter((count) => count > 1).length;
  row.recovery = Math.max(...recoveries);
  expect([...ids].filter((id) => rig.endings.get(id) !== 1)).toEqual([]);
  expect({ lost: row.lost, duplicated: row.duplicated }).toEqual({ lost: 0, duplicated: 0 });
  expect(await countersOf(rig)).toMatchObject({ jobs: 0, tokens: 0, reserved: 0, outstanding: {} });
});
