/** Server-sent events of a job, from real processes. */
import type { JobView } from '@shoal/contracts';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { startApi, startWorker } from '../support/processes.js';
import { type ReceivedEvent, readEvents } from '../support/server-sent-events.js';

const redisUrl = inject('redisUrl');
const TEXTS = Array.from({ length: 40 }, (_, n) => `a fish of kind ${n} that lives in the sea`);
let apis: Awaited<ReturnType<typeof startApi>>[];
let worker: Awaited<ReturnType<typeof startWorker>>;

beforeAll(async () => {
  apis = await Promise.all([startApi({ redisUrl }), startApi({ redisUrl })]);
  worker = await startWorker({ redisUrl });
});
afterAll(() => Promise.all([...apis, worker].map((process) => process.stop())));

async function submit(input: unknown): Promise<JobView> {
  const body = JSON.stringify({ model: 'wordnet-topic', input });
  const response = await fetch(`${apis[0]!.url}/v1/jobs`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  });
  expect(response.status).toBe(202);
  return (await response.json()) as JobView;
}

const open = (api: number, path: string, lastId?: string) =>
  fetch(`${apis[api]!.url}${path}`, lastId === undefined ? {} : { headers: { 'last-event-id': lastId } });

async function collect(response: Response): Promise<ReceivedEvent[]> {
  const events: ReceivedEvent[] = [];
  for await (const event of readEvents(response)) events.push(event);
  return events;
}

test('an array is followed on another replica from its submission to its end, each output once', async () => {
  const { id, links } = await submit(TEXTS);
  const response = await open(1, links.events);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  const events = await collect(response);
  const job = (await (await open(0, links.self)).json()) as JobView;
  expect(events[0]).toMatchObject({ lastId: 'queued', type: 'job.queued', data: { id } });
  expect(events[1]).toMatchObject({ lastId: 'started', type: 'job.started' });
  expect(events.at(-1)).toMatchObject({ lastId: 'end', type: 'job.completed', data: { id, items: { done: 40 } } });
  const outputs = events.filter(({ type }) => type === 'job.output');
  expect(outputs.map(({ lastId }) => Number(lastId))).toEqual(TEXTS.map((_, n) => n + 1));
  const byIndex = outputs.map(({ data }) => data as { index: number; output: unknown });
  byIndex.sort((a, b) => a.index - b.index);
  expect(byIndex.map(({ output }) => output)).toEqual(job.output);
});

test('a single job ends with its output', async () => {
  const { links } = await submit(TEXTS[0]);
  const events = await collect(await open(0, links.events));
  expect(events.map(({ type }) => type)).toEqual(['job.queued', 'job.started', 'job.completed']);
  expect(events[2]!.data).toEqual(await (await open(0, links.self)).json());
});

test('who has had the last event is told to stop, who names no event is told so, and no job is 404', async () => {
  const { links } = await submit(TEXTS[0]);
  await collect(await open(0, links.events));
  expect((await open(1, links.events, 'end')).status).toBe(204);
  const odd = await open(0, links.events, 'seven');
  expect([odd.status, await odd.json()]).toMatchObject([422, { errors: [{ path: 'Last-Event-ID' }] }]);
  expect((await open(0, links.events.replace(/.{4}\/events$/, 'aaaa/events'))).status).toBe(404);
});

test('an API that stops ends its streams, and their readers go on at another replica', async () => {
  const leaving = await startApi({ redisUrl });
  await worker.stop();
  const { links } = await submit(TEXTS);
  const reader = readEvents(await fetch(`${leaving.url}${links.events}`));
  expect((await reader.next()).value).toMatchObject({ lastId: 'queued' });
  const rest = reader.next();
  expect(await leaving.stop()).toBe('exit code 0');
  expect(await rest).toMatchObject({ done: true });
  worker = await startWorker({ redisUrl });
  const events = await collect(await open(0, links.events, 'queued'));
  expect([events[0]!.type, events.at(-1)!.type]).toEqual(['job.started', 'job.completed']);
  expect(events.filter(({ type }) => type === 'job.output')).toHaveLength(40);
});
