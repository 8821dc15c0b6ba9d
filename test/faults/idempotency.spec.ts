import { setTimeout as pause } from 'node:timers/promises';
import { parseJobId } from '@shoal/queue';
import { expect } from 'vitest';
import { openRig } from './rig.js';
import { scenario, sized } from './scenario.js';
import { itemOf, openScripted, SCRIPTED_MODEL } from './scripted.js';

const ROUNDS = sized(10, 2);
const CALLERS = 100;

scenario(`API SIGKILL amid ${CALLERS} calls with one Idempotency-Key × ${ROUNDS}`, async (row) => {
  row.load = `${CALLERS} callers, two replicas, one killed`;
  const rig = await openRig(SCRIPTED_MODEL);
  const scripted = openScripted(rig);
  await scripted.start();
  const stays = await rig.startApi();
  const post = (url: string, key: string, n: number) =>
    fetch(`${url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify({ model: rig.model, input: itemOf(n, 5) }),
    });
  const ids = new Set<string>();
  let cutOff = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const dies = await rig.startApi();
    const key = `round-${round}`;
    let answered = 0;
    // Later from round to round, so that the kill finds the submission at different stages.
    const enough = Math.floor((round / ROUNDS) * (CALLERS / 2));
    const call = async (n: number): Promise<string> => {
      for (let url = n % 2 === 0 ? dies.url : stays.url; ; url = stays.url) {
        const response = await post(url, key, round).catch(() => null);
        if (answered++ === enough) dies.process.kill('SIGKILL');
        if (response?.ok) return ((await response.json()) as { id: string }).id;
        expect([undefined, 503]).toContain(response?.status);
        cutOff++;
        await pause(20);
      }
    };
    const answers = await Promise.all(Array.from({ length: CALLERS }, (_, n) => call(n)));
    expect(await dies.process.exited).toBe('SIGKILL');
    expect(new Set(answers).size).toBe(1);
    ids.add(answers[0]!);
    expect(await stays.end(answers[0]!)).toMatchObject({ status: 'completed' });
    expect((await post(stays.url, key, round + 1000)).status).toBe(422);
  }
  const records = await rig.redis.keys(`${rig.tag}:job:*`);
  row.jobs = ids.size;
  row.lost = ROUNDS - ids.size;
  const { starts } = scripted.passes();
  const ranTwice = [...starts.values()].filter((count) => count > 1).length;
  row.duplicated = records.length - ROUNDS + ranTwice;
  row.note = `${cutOff} of ${ROUNDS * CALLERS} calls were cut off and repeated`;
  expect(records.sort()).toEqual([...ids].map((id) => `${rig.tag}:job:${parseJobId(id)!.ulid}`).sort());
  expect([...starts]).toEqual(Array.from({ length: ROUNDS }, (_, n) => [n, 1]));
  expect([...ids].map((id) => rig.endings.get(id))).toEqual([...ids].map(() => 1));
  expect(cutOff).toBeGreaterThan(0);
});
