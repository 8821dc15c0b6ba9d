/** Many readers of texts on one API process. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { inParallel, readMetric } from '../support/fleet.js';
import { readEvents } from '../support/server-sent-events.js';
import { countersOf, openRig } from './rig.js';
import { QUICK, scenario, sized } from './scenario.js';
import { requestOf } from './texts.js';

const STREAMS = sized(2000, 200);
const TOKENS = 16;
const MAX_KIB_EACH = 128;
const PROBE_MS = 50;
/** Patience of a liveness probe. */
const MAX_PROBE_S = 1;

const residentKib = (pid: number) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);

interface Chunk {
  readonly choices: readonly { readonly finish_reason: string | null }[];
  readonly usage?: { readonly completion_tokens: number } | null;
}

scenario(`none, ${STREAMS} texts streamed at once by one API process`, async (row) => {
  row.load = `${STREAMS} readers, one worker that comes when all are there`;
  const rig = await openRig({ model: 'wordnet-lm', env: { SHOAL_GENERATION_THREADS: '1' } });
  const api = await rig.startApi();
  const clients = async () => Number(/connected_clients:(\d+)/.exec(await rig.redis.info('clients'))![1]);
  const post = (n: number) =>
    api.post('/v1/chat/completions', {
      ...{ ...requestOf(n, TOKENS), stream: true },
      stream_options: { include_usage: true },
    });
  const [before, clientsBefore] = [residentKib(api.process.pid), await clients()];
  // Answered at once, or with the first token only.
  const open = Array.from({ length: STREAMS }, (_, n) => post(n));
  await expect.poll(() => readMetric(api.process.metricsUrl, 'shoal_waiters'), { timeout: 60_000 }).toBe(STREAMS);
  const kibEach = (residentKib(api.process.pid) - before) / STREAMS;
  const connections = (await clients()) - clientsBefore;

  let over = false;
  const probes: number[] = [];
  const probing = (async () => {
    while (!over) {
      const asked = performance.now();
      expect((await fetch(`${api.url}/healthz`)).status).toBe(200);
      probes.push((performance.now() - asked) / 1000);
      await pause(PROBE_MS);
    }
  })();
  await rig.startWorker();
  const ends = await inParallel(STREAMS, open, async (opened) => endOf(await opened));
  over = true;
  await probing;

  row.jobs = STREAMS;
  row.lost = ends.filter((end) => end.join() !== `length,${TOKENS},true`).length;
  const slowest = Math.max(...probes);
  row.note = `${kibEach.toFixed(0)} KiB of the API for each, ${connections} more connections to Redis; /healthz within ${slowest.toFixed(2)} s`;
  expect(row.lost).toBe(0);
  expect(connections).toBe(0);
  expect(await readMetric(api.process.metricsUrl, 'shoal_waiters')).toBe(0);
  await expect
    .poll(() => countersOf(rig), { timeout: 15_000 })
    .toMatchObject({ jobs: 0, tokens: 0, reserved: 0, outstanding: {} });
  if (QUICK) return;
  expect(kibEach).toBeLessThan(MAX_KIB_EACH);
  expect(slowest).toBeLessThan(MAX_PROBE_S);
});

/** Why the answer ended, its tokens, and whether the stream ended as it should. */
async function endOf(response: Response): Promise<readonly unknown[]> {
  let [reason, tokens, done]: [string | null, number | undefined, boolean] = [null, undefined, false];
  for await (const { data } of readEvents(response)) {
    done = data === null;
    const { choices = [], usage } = (data ?? {}) as Partial<Chunk>;
    reason = choices[0]?.finish_reason ?? reason;
    tokens = usage?.completion_tokens ?? tokens;
  }
  return [reason, tokens, done];
}
