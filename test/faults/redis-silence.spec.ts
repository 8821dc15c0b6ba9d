import { expect } from 'vitest';
import { type Kind, type RedisGateway, startRedisGateway } from '../support/redis-gateway.js';
import { countCommands, MAX_RESUME_S, openTrouble, timeToService, toldOf } from './redis-trouble.js';
import { audit } from './rig.js';
import { QUICK, type Row, scenario } from './scenario.js';

async function loseLines(row: Row, kind: Kind | undefined): Promise<void> {
  let gateway: RedisGateway | undefined;
  const trouble = await openTrouble(row, {
    through: async (redisUrl) => {
      gateway = await startRedisGateway(redisUrl);
      return gateway.url;
    },
  });
  const silenced = gateway!.silence(kind);
  expect(silenced).toBeGreaterThan(0);
  const rate = await countCommands(() => trouble.rig.redis.info('stats'));
  row.recovery = await timeToService(trouble);
  const commands = await rate();
  // BullMQ gives up by itself what blocks for longer than it was to. (Service may be back before the silence is noticed.)
  const told = () => toldOf(trouble).join(' | ');
  if (kind !== 'blocking') await expect.poll(told, { timeout: 30_000 }).toMatch(/Redis was silent for/);
  await audit(trouble.rig, trouble.load, row);
  row.note = `${silenced} connections, ${commands.toFixed(0)} commands/s; told: ${told()}`;
  expect(row.recovery).toBeLessThanOrEqual(MAX_RESUME_S);
}

const KINDS: readonly (Kind | undefined)[] = QUICK
  ? ['subscriber', undefined]
  : ['commands', 'subscriber', 'blocking', undefined];
for (const kind of KINDS) {
  scenario(`${kind === undefined ? 'all' : kind} connections to Redis silent, not closed`, (row) =>
    loseLines(row, kind),
  );
}
