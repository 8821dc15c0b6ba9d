import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expect, onTestFinished } from 'vitest';
import { type RedisGateway, startRedisGateway } from '../support/redis-gateway.js';
import { startRedisReplica } from '../support/redis-replica.js';
import { countCommands, MAX_IDLE_COMMANDS, MAX_RESUME_S, openTrouble, timeToService, toldOf } from './redis-trouble.js';
import { audit } from './rig.js';
import { scenario, sized } from './scenario.js';

/** For how long the name still leads to the old primary. */
const STALE_S = sized(30, 8);

scenario(`Redis failover behind one name, which changes ${STALE_S} s later`, async (row) => {
  let gateway: RedisGateway | undefined;
  const trouble = await openTrouble(row, {
    through: async (redisUrl) => {
      gateway = await startRedisGateway(redisUrl);
      return gateway.url;
    },
  });
  const { rig, api, load, workers } = trouble;
  const replica = await startRedisReplica(rig.server);
  await replica.failover();
  const rate = await countCommands(() => rig.redis.info('stats'));
  const readiness = async () => {
    const response = await fetch(`${api.url}/readyz`);
    return [response.status, await response.text()];
  };
  await expect.poll(readiness).toEqual([503, expect.stringContaining('read-only replica')]);
  const workersReady = () =>
    Promise.all(workers.map(async ({ metricsUrl }) => (await fetch(new URL('/readyz', metricsUrl))).status));
  await expect.poll(workersReady).toEqual([503, 503]);
  await pause(STALE_S * 1000);
  const commands = await rate();
  gateway!.lead(replica.url);
  const started = performance.now();
  await timeToService(trouble);
  row.recovery = (performance.now() - started) / 1000;
  await expect.poll(workersReady).toEqual([200, 200]);
  // Reads of the old one, which now follows, would do for all but what is asked right after an end.
  const redis = new Redis(replica.url);
  onTestFinished(() => redis.disconnect());
  await audit({ ...rig, redis }, load, row);
  const told = toldOf({ api, workers });
  row.note = `${commands.toFixed(0)} commands/s meanwhile; told: ${told.join(' | ')}`;
  expect(told.filter((line) => /read-only replica/.test(line)).length).toBeGreaterThanOrEqual(2);
  expect(commands).toBeLessThan(MAX_IDLE_COMMANDS);
  expect(row.recovery).toBeLessThanOrEqual(MAX_RESUME_S);
});
