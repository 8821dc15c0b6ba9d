import { expect } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { MAX_RESUME_S, openTrouble, timeToService, toldOf } from './redis-trouble.js';
import { audit } from './rig.js';
import { scenario } from './scenario.js';

scenario('Redis that may evict, at the start', async (row) => {
  row.load = 'maxmemory-policy allkeys-lru';
  const fleet = await openFleet({ model: 'wordnet-topic', redis: { 'maxmemory-policy': 'allkeys-lru' } });
  const refusals = await Promise.all(
    [fleet.startApi(), fleet.startWorker()].map((start) =>
      start.then(
        () => 'started',
        (error: Error) => error.message,
      ),
    ),
  );
  for (const refusal of refusals) expect(refusal).toMatch(/\nthis Redis may evict accepted jobs .*$/);
  row.note = `both: ${refusals[0]!.split('\n').at(-1)}`;
});

scenario('Redis that may evict, set under way', async (row) => {
  const trouble = await openTrouble(row);
  const { rig, api, load } = trouble;
  const ready = async () => {
    const response = await fetch(`${api.url}/readyz`);
    return [response.status, await response.text()];
  };
  await rig.redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
  await expect.poll(ready).toEqual([503, expect.stringContaining('may evict accepted jobs')]);
  await rig.redis.config('SET', 'maxmemory-policy', 'noeviction');
  await expect.poll(ready).toEqual([200, expect.anything()]);
  row.recovery = await timeToService(trouble);
  await audit(rig, load, row);
  const told = toldOf(trouble);
  row.note = `told: ${told.join(' | ')}`;
  expect(told.join()).toMatch(/may evict accepted jobs/);
  expect(row.recovery).toBeLessThanOrEqual(MAX_RESUME_S);
});
