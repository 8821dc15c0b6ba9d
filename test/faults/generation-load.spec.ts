/** Many texts in a row leave nothing behind: no memory, rows, threads or keys; and the worker's loop is never held up. */
import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { inParallel, readMetric } from '../support/fleet.js';
import { openClient } from '../support/texts.js';
import { countersOf, keysWithoutExpiry, openRig } from './rig.js';
import { QUICK, scenario, sized } from './scenario.js';
import { requestOf } from './texts.js';
import { Usage } from './usage.js';

const TEXTS = sized(5000, 500);
const TOKENS = 16;
/** Of what the worker makes when there is always work; measured with so many texts, of so many callers. */
const SHARE = 0.7;
const MEASURED = sized(1500, 300);
const CALLERS = 96;
/** Of memory: a leak of some KiB a text would be more. */
const MAX_GROWTH = 0.05;
const MAX_LAG_S = 0.05;

const filesOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;
const threadsOf = (pid: number) => readdirSync(`/proc/${pid}/task`).length;

scenario(`none, ${TEXTS} texts at ${100 * SHARE} % load`, async (row) => {
  const rig = await openRig({ model: 'wordnet-lm', env: { SHOAL_GENERATION_THREADS: '1' } });
  const api = await rig.startApi();
  const worker = await rig.startWorker();
  await rig.redis.hset(`${rig.tag}:chunks:meta`, 'opts.maxLenEvents', 10);
  const client = openClient(api.url);
  /** By turns as it grows and not. Tokens of the answer. */
  const make = async (n: number): Promise<number | undefined> => {
    const request = requestOf(n, TOKENS);
    if (n % 2 === 0) return (await client.chat.completions.create(request)).usage?.completion_tokens;
    const asked = { ...request, stream: true, stream_options: { include_usage: true } } as const;
    let tokens: number | undefined;
    for await (const { usage } of await client.chat.completions.create(asked)) tokens = usage?.completion_tokens;
    return tokens;
  };
  const began = performance.now();
  await inParallel(CALLERS, [...new Array(MEASURED).keys()], make);
  const rate = (SHARE * MEASURED) / ((performance.now() - began) / 1000);
  row.load = `${rate.toFixed(0)} texts of ${TOKENS} tokens a second, one worker`;

  const pids = { api: api.process.pid, worker: worker.pid, redis: rig.server.pid() };
  const threads = Object.values(pids).map(threadsOf);
  // With the connections of all callers, which are closed after some seconds.
  const files = Object.values(pids).map(filesOf);
  const usage = new Usage(pids);
  // Each reading begins anew.
  await readMetric(worker.metricsUrl, 'nodejs_eventloop_lag_p99_seconds');
  const own = monitorEventLoopDelay();
  own.enable();
  const started = performance.now();
  const answers: Promise<number | undefined>[] = [];
  for (let n = 0; n < TEXTS; n++) {
    await pause(Math.max(0, started + (1000 * n) / rate - performance.now()));
    answers.push(make(n));
  }
  const tokens = await Promise.all(answers);
  const ended = performance.now();
  const metrics = await (await fetch(worker.metricsUrl)).text();
  const lag = (what: string) =>
    Number(new RegExp(`^nodejs_eventloop_lag_${what}_seconds (\\S+)$`, 'm').exec(metrics)![1]);
  own.disable();
  const [p99, most, ownP99] = [lag('p99'), lag('max'), own.percentile(99) / 1e9];

  row.jobs = TEXTS;
  row.lost = tokens.filter((count) => count !== TOKENS).length;
  const stretch = (from: number, to: number) =>
    [started + from * (ended - started), started + to * (ended - started)] as const;
  const growths = usage.growth(stretch(0.3, 0.5), stretch(0.8, 1));
  const grown = growths.map(({ name, mib: [first, last] }) => `${name} ${first.toFixed(0)} → ${last.toFixed(0)} MiB`);
  const ms = (seconds: number) => `${(1000 * seconds).toFixed(0)} ms`;
  row.note = `${grown.join(', ')}; the worker's loop is late by ${ms(p99)} (p99; ${ms(ownP99)} here), ${ms(most)} at most`;
  expect(row.lost).toBe(0);
  for (const metric of ['shoal_items_in_flight', 'shoal_num_requests_running']) {
    await expect.poll(() => readMetric(worker.metricsUrl, metric), { timeout: 15_000 }).toBe(0);
  }
  expect(Object.values(pids).map(threadsOf)).toEqual(threads);
  await expect
    .poll(() => countersOf(rig), { timeout: 15_000 })
    .toMatchObject({ jobs: 0, tokens: 0, reserved: 0, outstanding: {} });
  await expect.poll(() => keysWithoutExpiry(rig), { timeout: 15_000 }).toEqual([]);
  expect(await rig.redis.keys(`${rig.tag}:text:*`)).toEqual([]);
  expect(await rig.redis.keys(`${rig.tag}:job:*`)).toEqual([]);
  const more = () => Object.values(pids).filter((pid, n) => filesOf(pid) > files[n]!);
  await expect.poll(more, { timeout: 60_000 }).toEqual([]);
  // Seconds of a quick run are too few, and its machine has other work.
  if (QUICK) return;
  expect(growths.filter(({ name, growth }) => name !== 'redis' && growth >= MAX_GROWTH)).toEqual([]);
  expect(p99).toBeLessThanOrEqual(MAX_LAG_S);
});
