/** Callers that lose interest in a text while it is made. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { inParallel, readMetric } from '../support/fleet.js';
import { readEvents } from '../support/server-sent-events.js';
import { countersOf, openRig } from './rig.js';
import { scenario, sized } from './scenario.js';
import { requestOf } from './texts.js';

const TEXTS = sized(2000, 200);
const CALLERS = 16;
const TOKENS = 200;
const MAX_GROWTH = 0.2;

const residentOf = (pid: number) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);

scenario(`${TEXTS} texts, each hung up on or cancelled after some of its events`, async (row) => {
  row.load = `${CALLERS} callers, one worker`;
  const rig = await openRig({ model: 'wordnet-lm', env: { SHOAL_GENERATION_THREADS: '1' } });
  const api = await rig.startApi();
  const worker = await rig.startWorker();
  const call = async (n: number) => {
    const kept = n % 2 === 0;
    const cut = new AbortController();
    const response = await fetch(`${api.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...requestOf(n, TOKENS), stream: true, store: kept }),
      signal: cut.signal,
    });
    expect(response.status).toBe(200);
    let left = n % 7;
    for await (const _ of readEvents(response)) if (left-- === 0) break;
    cut.abort();
    if (!kept) return;
    const removed = await fetch(`${api.url}${response.headers.get('location')}`, { method: 'DELETE' });
    expect(removed.status).toBe(200);
  };
  const all = Array.from({ length: TEXTS }, (_, n) => n);
  await inParallel(CALLERS, all.slice(0, TEXTS / 2), call);
  const before = [worker.pid, api.process.pid].map(residentOf);
  await inParallel(CALLERS, all.slice(TEXTS / 2), call);
  const after = [worker.pid, api.process.pid].map(residentOf);
  for (const metric of ['shoal_items_in_flight', 'shoal_num_requests_running']) {
    await expect.poll(() => readMetric(worker.metricsUrl, metric), { timeout: 15_000 }).toBe(0);
  }
  await expect.poll(() => countersOf(rig)).toMatchObject({ jobs: 0, tokens: 0, reserved: 0, outstanding: {} });
  await expect.poll(() => rig.redis.hgetall(`${rig.tag}:held`)).toEqual({});
  expect(await rig.redis.keys(`${rig.tag}:text:*`)).toEqual([]);
  row.jobs = TEXTS;
  const growth = after.map((kib, n) => kib / before[n]! - 1);
  row.note = `memory of worker and API ${growth.map((share) => `${(100 * share).toFixed(0)} %`).join(', ')} more in the second half`;
  for (const share of growth) expect(share).toBeLessThan(MAX_GROWTH);
});
