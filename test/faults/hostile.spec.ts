/** One tenant does all the harm that callers can do to an API; another one, at a fifth of the load, must not notice. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { JobView } from '@shoal/contracts';
import { expect } from 'vitest';
import { type Api, openFleet, readMetric } from '../support/fleet.js';
import { type Running, startApp } from '../support/processes.js';
import { QUICK, type Row, scenario, sized } from './scenario.js';

const ATTACKS = [
  'many small faults in one call',
  'texts near the body limit, cut',
  'one text of 2 MB: spaces, one word, words',
  'large bodies at once',
  'bodies of a byte a second',
  'large results at once',
  'large results that nobody reads',
  'lists by status',
  'event streams',
  'webhooks of names that are looked up',
  'everything of high priority',
  'gzip that unpacks to more than it is',
  'objects, lists and fields by the hundred thousand',
];
const KEYS = 'honest:honest-key,hostile:hostile-key';
const ALONE_MS = sized(10_000, 3000);
const ATTACK_MS = sized(30_000, 5000);
/** A request of the honest tenant every so often. */
const EVERY_MS = 40;
/** What k8s/base gives an API, in MiB; its event loop must answer within HEALTH_MS. */
const MEMORY_MIB = 1024;
const HEALTH_MS = 250;

/** Of one request, in ms: until its answer, and of that in Redis, in the worker before its pass, and in the pass. */
interface Asked {
  readonly ms: number;
  readonly queued: number;
  readonly batching: number;
  readonly running: number;
}

interface Seen {
  readonly asked: Asked[];
  readonly statuses: Map<number, number>;
  health: number;
  mib: number;
  batchMs: number;
  /** Of the API's processor time, what it used per second. */
  cores: number;
}

for (const attack of ATTACKS) {
  scenario(`one hostile tenant: ${attack}`, async (row) => {
    const fleet = await openFleet({
      model: 'wordnet-embed',
      apiKeys: KEYS,
      // Passes on one core, the API on the other: where they share one, a pass is what takes the service away.
      env: { SHOAL_SECRET_KEY: '0'.repeat(64), SHOAL_CONCURRENT_RUNS: '1' },
    });
    const api = await fleet.startApi();
    const worker = await fleet.startWorker();
    const alone = await watch(api, ALONE_MS);
    const passes = await passTime(worker);
    const hostile = await startApp('test/faults/attacker.mjs', 'ready', {
      redisUrl: fleet.redisUrl,
      args: [attack, api.url, 'hostile-key'],
    });
    const under = await watch(api, ATTACK_MS).finally(() => hostile.kill('SIGKILL'));
    await hostile.exited;
    // A micro-batch that the honest tenant waits for is mostly somebody else's.
    under.batchMs = Math.max(under.batchMs, await passes());
    report(row, alone, under);
    const answered = [...under.statuses.keys()];
    expect(answered, 'statuses of the honest tenant').toEqual([200]);
    expect(under.mib).toBeLessThan(MEMORY_MIB);
    // Times say nothing of a quick run, which shares its machine with others.
    if (QUICK) return;
    expect(under.health).toBeLessThanOrEqual(HEALTH_MS);
    expect(p99(under)).toBeLessThanOrEqual(2 * p99(alone) + under.batchMs);
  });
}

/** Mean ms of the worker's passes from now until the returned function is called. */
async function passTime({ metricsUrl }: Running): Promise<() => Promise<number>> {
  const read = (part: 'sum' | 'count') => readMetric(metricsUrl, `shoal_compute_duration_seconds_${part}`);
  const [sum, count] = [await read('sum'), await read('count')];
  return async () => (1000 * ((await read('sum')) - sum)) / Math.max(1, (await read('count')) - count);
}

function report(row: Row, alone: Seen, under: Seen): void {
  const ms = (value: number) => `${Math.round(value)} ms`;
  row.load = `a request every ${EVERY_MS} ms for ${ATTACK_MS / 1000} s`;
  row.jobs = under.asked.length;
  row.lost = [...under.statuses].reduce((sum, [status, count]) => sum + (status === 200 ? 0 : count), 0);
  row.note =
    `p99 ${ms(p99(alone))} alone, ${ms(p99(under))} under attack, micro-batch ${ms(under.batchMs)}; ` +
    `of the slowest in Redis ${ms(slowest(under, 'queued'))}, held ${ms(slowest(under, 'batching'))}, ` +
    `in their passes ${ms(slowest(under, 'running'))}; ` +
    `healthz ${ms(under.health)}; API ${Math.round(under.mib)} MiB, ${under.cores.toFixed(2)} cores`;
}

/** The honest tenant's requests, probes and memory for a while. */
async function watch(api: Api, forMs: number): Promise<Seen> {
  const seen: Seen = { asked: [], statuses: new Map(), health: 0, mib: 0, batchMs: 0, cores: 0 };
  const started = performance.now();
  const until = started + forMs;
  const before = cpuSeconds(api);
  const open: Promise<void>[] = [];
  const probe = setInterval(() => open.push(look(api, seen)), 100);
  for (let n = 0; performance.now() < until; n++) {
    open.push(ask(api, n, seen));
    await pause(EVERY_MS);
  }
  clearInterval(probe);
  await Promise.all(open);
  seen.cores = (cpuSeconds(api) - before) / ((performance.now() - started) / 1000);
  return seen;
}

async function ask(api: Api, n: number, seen: Seen): Promise<void> {
  const started = performance.now();
  const body = { model: 'wordnet-embed', input: `fish number ${n} lives in the sea` };
  const response = await api.post('/v1/jobs?wait=60', body, 'honest-key');
  seen.statuses.set(response.status, (seen.statuses.get(response.status) ?? 0) + 1);
  const { timings } = (await response.json()) as Partial<JobView>;
  const { queued_ms: queued = 0, batching_ms: batching = 0, running_ms: running = 0 } = timings ?? {};
  seen.asked.push({ ms: performance.now() - started, queued, batching, running });
  seen.batchMs = Math.max(seen.batchMs, running);
}

async function look(api: Api, seen: Seen): Promise<void> {
  const started = performance.now();
  await (await fetch(`${api.url}/healthz`)).arrayBuffer();
  seen.health = Math.max(seen.health, performance.now() - started);
  const pages = Number(readFileSync(`/proc/${api.process.pid}/statm`, 'utf8').split(' ')[1]);
  seen.mib = Math.max(seen.mib, (pages * 4096) / 2 ** 20);
}

/** Processor time that the API has used, all threads. */
function cpuSeconds(api: Api): number {
  const fields = readFileSync(`/proc/${api.process.pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function inOrder({ asked }: Seen): Asked[] {
  return asked.toSorted((a, b) => a.ms - b.ms);
}

function p99(seen: Seen): number {
  return inOrder(seen)[Math.floor(seen.asked.length * 0.99)]?.ms ?? Number.NaN;
}

/** Mean of a part over the slowest hundredth of requests. */
function slowest(seen: Seen, part: keyof Asked): number {
  const last = inOrder(seen).slice(Math.floor(seen.asked.length * 0.99));
  return last.reduce((sum, asked) => sum + asked[part], 0) / last.length;
}
