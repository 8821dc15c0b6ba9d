import { readFileSync } from 'node:fs';
import type { JobView } from '@shoal/contracts';
import { expect } from 'vitest';
import { inParallel } from '../support/fleet.js';
import { type ReceivedEvent, readEvents } from '../support/server-sent-events.js';
import { countersOf, openRig } from './rig.js';
import { scenario, sized } from './scenario.js';

const ITEMS = sized(1000, 100);
const STREAMS = sized(2000, 200);
const LIMITS = { max_batch_size: 4, max_queued_tokens: 4_000_000 };
const inputs = (count: number) => Array.from({ length: count }, (_, n) => `fish number ${n} lives in the sea`);

/** Resident memory in MiB and open descriptors of a process. */
function usage(pid: number): { mib: number; descriptors: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const [, kib] = /^VmRSS:\s+(\d+)/m.exec(status)!;
  const [, size] = /^FDSize:\s+(\d+)/m.exec(status)!;
  return { mib: Number(kib) / 1024, descriptors: Number(size) };
}

scenario(`stream cut after each of ${ITEMS} events, worker SIGKILL in the middle`, async (row) => {
  row.load = `an array of ${ITEMS} texts, two API replicas by turns`;
  const rig = await openRig({ model: 'wordnet-topic', limits: LIMITS, env: { SHOAL_CONCURRENT_RUNS: '1' } });
  const apis = [await rig.startApi(), await rig.startApi()];
  const first = await rig.startWorker();
  const undisturbed = await apis[0]!.end(await apis[0]!.submit(inputs(ITEMS)));

  const id = await apis[0]!.submit(inputs(ITEMS));
  const events: ReceivedEvent[] = [];
  let lastId: string | undefined;
  let connections = 0;
  let killed = false;
  while (lastId !== 'end') {
    const { url } = apis[connections++ % 2]!;
    const headers = lastId === undefined ? {} : { 'last-event-id': lastId };
    const cut = new AbortController();
    const response = await fetch(`${url}/v1/jobs/${id}/events`, { headers, signal: cut.signal });
    expect(response.status).toBe(200);
    for await (const event of readEvents(response, lastId)) {
      // An event without an id of its own (progress) is nothing that a reader resumes from.
      if (event.lastId === lastId) continue;
      events.push(event);
      lastId = event.lastId;
      break;
    }
    cut.abort();
    if (!killed && Number(lastId) >= ITEMS / 3) {
      killed = true;
      first.kill('SIGKILL');
      await rig.startWorker();
    }
  }
  expect(killed).toBe(true);
  const outputs = events.filter(({ type }) => type === 'job.output');
  const numbers = outputs.map((event) => Number(event.lastId));
  row.jobs = 1;
  row.lost = ITEMS - new Set(numbers).size;
  row.duplicated = numbers.length - new Set(numbers).size;
  row.note = `${connections} connections`;
  expect(numbers).toEqual(inputs(ITEMS).map((_, n) => n + 1));
  expect(events.map(({ type }) => type).filter((type) => type !== 'job.output')).toEqual([
    'job.queued',
    'job.started',
    'job.completed',
  ]);
  const byIndex = outputs.map(({ data }) => data as { index: number; output: unknown });
  byIndex.sort((a, b) => a.index - b.index);
  const labels = (list: readonly unknown[]) =>
    list.map((scores) => (scores as { label: string; score: number }[]).map(({ label }) => label));
  expect(labels(byIndex.map(({ output }) => output))).toEqual(labels(undisturbed.output as unknown[]));
  expect(await countersOf(rig)).toMatchObject({ jobs: 0, tokens: 0, reserved: 0 });
});

scenario(`${STREAMS} streams on one API process, some of which are not read`, async (row) => {
  const rig = await openRig({ model: 'wordnet-topic', limits: LIMITS });
  const api = await rig.startApi();
  const clientsBefore = Number(/connected_clients:(\d+)/.exec(await rig.redis.info('clients'))![1]);
  const ids = await api.submitBulk(inputs(100));
  const array = await api.submit(inputs(ITEMS));
  const before = usage(api.process.pid);
  const targets = Array.from({ length: STREAMS }, (_, n) => (n % 10 === 0 ? array : ids[n % ids.length]!));
  const open = await inParallel(64, targets, (id) => fetch(`${api.url}/v1/jobs/${id}/events`));
  expect(open.filter(({ status }) => status !== 200)).toEqual([]);
  const clients = Number(/connected_clients:(\d+)/.exec(await rig.redis.info('clients'))![1]);
  // Readers of every twentieth stream, all of them of the array, never read: what they miss must not pile up.
  const readers = open.filter((_, n) => n % 20 !== 0).map(lastEvent);
  await rig.startWorker();
  const ends = await Promise.all(readers);
  const after = usage(api.process.pid);
  row.jobs = ids.length + 1;
  row.load = `${STREAMS} streams of ${row.jobs} jobs`;
  row.lost = ends.filter((event) => event?.type !== 'job.completed').length;
  row.duplicated = 0;
  row.note = `${clients - clientsBefore} more connections to Redis; API from ${before.mib.toFixed(0)} to ${after.mib.toFixed(0)} MiB`;
  expect(row.lost).toBe(0);
  expect(clients).toBe(clientsBefore);
  // Who did not read finds everything when he does.
  const idle = open.filter((_, n) => n % 20 === 0);
  const late = await Promise.all(idle.map(allEvents));
  const wanted = (late[0] ?? []).map(({ lastId }) => lastId);
  expect(new Set(wanted).size).toBe(ITEMS + 3);
  for (const events of late) expect(events.at(-1)!.type).toBe('job.completed');
  const stillOpen = ((await api.end(array)) as JobView).status;
  expect(stillOpen).toBe('completed');
});

async function allEvents(response: Response): Promise<ReceivedEvent[]> {
  const events: ReceivedEvent[] = [];
  for await (const event of readEvents(response)) events.push(event);
  return events;
}

async function lastEvent(response: Response): Promise<ReceivedEvent | undefined> {
  return (await allEvents(response)).at(-1);
}
