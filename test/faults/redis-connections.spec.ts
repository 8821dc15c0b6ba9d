import { Redis } from 'ioredis';
import { expect, onTestFinished } from 'vitest';
import { Load } from './load.js';
import { audit, openRig } from './rig.js';
import { scenario, sized } from './scenario.js';

const SECONDS = sized(60, 10);
const EVERY_MS = 60;
const WAITING = 20;
const TEXTS = ['a large fish', 'a musical instrument with strings', 'a feeling of great joy', 'the act of buying'];

scenario(`Redis connections cut every ${EVERY_MS} ms for ${SECONDS} s`, async (row) => {
  row.load = `arrays of 4, ${WAITING} chunks waiting, two workers`;
  const rig = await openRig({ model: 'wordnet-topic', env: { SHOAL_CONCURRENT_RUNS: '1' } });
  const api = await rig.startApi();
  await rig.startWorker();
  await rig.startWorker();
  const load = new Load({
    replicas: () => [api.url],
    body: () => ({ model: rig.model, input: TEXTS }),
    room: () => rig.waiting() < WAITING,
  });
  const killer = new Redis(rig.redisUrl);
  onTestFinished(() => killer.disconnect());
  let cut = 0;
  for (const end = performance.now() + 1000 * SECONDS; performance.now() < end; ) {
    const round = new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    for (const type of ['normal', 'pubsub']) {
      cut += Number(await killer.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes'));
    }
    await round;
  }
  const done = Number(await rig.redis.hget(`${rig.tag}:state`, 'served'));
  await audit(rig, load, row);
  row.note = `${cut} connections cut, ${load.refusals.length} refusals, ${done} tokens served meanwhile`;
  expect(cut).toBeGreaterThan(SECONDS * 10);
  expect(done).toBeGreaterThan(0);
});
