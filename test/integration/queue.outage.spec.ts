import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startLastingRedis } from '../support/lasting-redis.js';
import { openBench } from '../support/queue-harness.js';

/** More than a command may take. */
const STANDSTILL_MS = 2500;

test('a call that comes while another waits for a Redis that hangs is refused with it, not after a wait of its own', async () => {
  const server = await startLastingRedis();
  const bench = await openBench({ redisUrl: server.url });
  server.freeze();
  const first = bench.store.submit([bench.job(1)]);
  // Submissions are sent at the end of the turn: the second finds the first under way.
  await turn();
  await turn();
  const second = bench.store.submit([bench.job(2)]);
  expect(await first).toMatchObject([{ code: 'redis_unavailable' }]);
  expect(await Promise.race([second, turn('still waiting')])).toMatchObject([{ code: 'redis_unavailable' }]);
  server.thaw();
});

test('a process that stood still for longer than a command may take does not take its Redis for silent', async () => {
  const server = await startLastingRedis();
  const bench = await openBench({ redisUrl: server.url });
  const answer = bench.store.submit([bench.job(1)]);
  // It is sent in this turn, and answered while nobody listens.
  await turn();
  const until = performance.now() + STANDSTILL_MS;
  while (performance.now() < until);
  expect(await answer).toMatchObject([{ created: true }]);
});
