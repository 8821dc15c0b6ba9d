import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { countCommands, MAX_RESUME_S, openTrouble, timeToService, toldOf } from './redis-trouble.js';
import { audit } from './rig.js';
import { scenario, sized } from './scenario.js';

const FULL_S = sized(60, 10);
/** Every command that frees memory is asked again after a pause; none is asked in a loop. */
const MAX_COMMANDS = 1000;

scenario(`Redis at maxmemory for ${FULL_S} s`, async (row) => {
  const trouble = await openTrouble(row);
  const { rig, load } = trouble;
  await rig.redis.config('SET', 'maxmemory', '1');
  const waiting = rig.waiting();
  await expect.poll(() => load.refusals.length).toBeGreaterThan(0);
  // What was accepted is run, and so frees memory, whatever is refused.
  await expect.poll(() => rig.waiting(), { timeout: 60_000 }).toBe(0);
  const rate = await countCommands(() => rig.redis.info('stats'));
  await pause(FULL_S * 1000);
  const commands = await rate();
  await rig.redis.config('SET', 'maxmemory', '0');
  row.recovery = await timeToService(trouble);
  await audit(rig, load, row);
  const refused = load.refusals.map(({ status }) => status);
  const told = toldOf(trouble);
  row.note = `${waiting} chunks that waited were run, ${refused.length} refusals, ${commands.toFixed(0)} commands/s; told: ${told.join(' | ')}`;
  expect(refused.filter((status) => status !== 429 && status !== 503)).toEqual([]);
  expect(commands).toBeLessThan(MAX_COMMANDS);
  expect(row.recovery).toBeLessThanOrEqual(MAX_RESUME_S);
});
