import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startLastingRedis } from '../support/lasting-redis.js';
import { openBench } from '../support/queue-harness.js';

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
