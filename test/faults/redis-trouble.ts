/** What scenarios of a Redis in trouble share: callers, two workers, and what is measured of the time until service. */
import { expect } from 'vitest';
import type { Api } from '../support/fleet.js';
import type { Running } from '../support/processes.js';
import { Load } from './load.js';
import { openRig, type Rig, type RigOptions } from './rig.js';
import type { Row } from './scenario.js';

export const TEXTS = [
  'a large fish',
  'a musical instrument with strings',
  'a feeling of great joy',
  'the act of buying',
];
export const MAX_RESUME_S = 20;
/** Of two workers, an API and what the test itself asks, while nothing can be done. */
export const MAX_IDLE_COMMANDS = 400;
const WAITING = 20;
const CALLERS = 4;

export interface Trouble {
  readonly rig: Rig;
  readonly api: Api;
  readonly workers: readonly Running[];
  readonly load: Load;
}

export async function openTrouble(row: Row, options: Partial<RigOptions> = {}): Promise<Trouble> {
  row.load = `arrays of 4, ${WAITING} chunks waiting, two workers`;
  const rig = await openRig({ model: 'wordnet-topic', env: { SHOAL_CONCURRENT_RUNS: '1' }, ...options });
  const api = await rig.startApi();
  const workers = [await rig.startWorker(), await rig.startWorker()];
  const load = new Load({
    replicas: () => [api.url],
    body: () => ({ model: rig.model, input: TEXTS }),
    room: () => rig.waiting() < WAITING,
    callers: CALLERS,
  });
  await expect.poll(() => load.acked.size, { timeout: 60_000 }).toBeGreaterThan(20);
  return { rig, api, workers, load };
}

/** From now until a new job is accepted, run, and told to who waits for it, in s. */
export async function timeToService({ api, load }: Pick<Trouble, 'api' | 'load'>): Promise<number> {
  const started = performance.now();
  const begun = Math.max(...load.acked.keys()) + CALLERS;
  const fresh = () => [...load.acked].find(([n]) => n > begun)?.[1];
  await expect.poll(fresh, { interval: 50, timeout: 120_000 }).toBeDefined();
  expect((await api.end(fresh()!)).status).toBe('completed');
  return (performance.now() - started) / 1000;
}

/** Commands a second that the server was sent since the returned function was made. */
export async function countCommands(info: () => Promise<string>): Promise<() => Promise<number>> {
  const read = async () => Number(/^total_commands_processed:(\d+)/m.exec(await info())?.[1]);
  const [before, started] = [await read(), performance.now()];
  return async () => ((await read()) - before) / ((performance.now() - started) / 1000);
}

/** What the processes said of Redis, as `service: message`, each once. */
export function toldOf({ api, workers }: Pick<Trouble, 'api' | 'workers'>): string[] {
  const lines = [api.process, ...workers].flatMap((process) => process.output().split('\n'));
  const told = lines.filter((line) => /"event":"(redis|queue)\./.test(line)).map((line) => JSON.parse(line));
  return [...new Set(told.map(({ service, error }) => `${service}: ${error?.message ?? ''}`))];
}
