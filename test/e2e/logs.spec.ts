/**
 * What processes tell of their callers' work: lines with ids, names and numbers at level debug, and metrics of few labels.
 * Everything that callers send in these tests holds a word of `CANARY`, which must turn up nowhere.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { JobView } from '@shoal/contracts';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { type Api, openFleet } from '../support/fleet.js';
import { startOwnRedis } from '../support/own-redis.js';
import { type Running, startWebhooks } from '../support/processes.js';
import { startReceiver, withStatus } from '../support/receiver.js';

const MODEL = 'wordnet-topic';
const GENERATOR = 'wordnet-lm';
const TENANT = 'acme-tenant';
const KEY = 'zebra-api-key';
const REDIS_PASSWORD = 'zebra-redis-password';
const WEBHOOK_SECRET = `whsec_${randomBytes(24).toString('base64')}`;
/** Passes the API, since the folder promises more tokens than the graph has; ONNX Runtime's error quotes it. */
const UNKNOWN_TOKEN = 777_777;
// Not within the digits of a measurement.
const CANARY = /zebra|whsec_|\b777777\b/i;
const ULID = /[0-9a-hjkmnp-tv-z]{26}/;

type Line = Readonly<Record<string, unknown>> & { readonly event: string };

/** Every line; one that is no JSON fails the test. */
function linesOf({ output }: Running): Line[] {
  return output()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

/** API, worker and webhooks at level debug, on a Redis with a password. */
async function openService(receiverPort: number) {
  const open = await startOwnRedis();
  const admin = new Redis(open);
  onTestFinished(() => admin.disconnect());
  admin.on('error', () => undefined);
  await admin.config('SET', 'requirepass', REDIS_PASSWORD);
  const redisUrl = open.replace('redis://', `redis://default:${REDIS_PASSWORD}@`);
  const env = {
    SHOAL_LOG_LEVEL: 'debug',
    SHOAL_SECRET_KEY: randomBytes(32).toString('base64'),
    SHOAL_WEBHOOK_ALLOW: `127.0.0.0/8:${receiverPort}`,
    SHOAL_WEBHOOK_SCHEDULE: '0,1s',
  };
  const apiKeys = `${TENANT}:${KEY}`;
  const fleet = await openFleet({
    model: MODEL,
    besides: [GENERATOR],
    redisUrl,
    env,
    apiKeys,
    config: { vocab_size: 1_000_000 },
  });
  const api = await fleet.startApi();
  const worker = await fleet.startWorker();
  const webhooks = await startWebhooks({ redisUrl, env });
  onTestFinished(async () => void (await webhooks.stop()));
  return { api, worker, webhooks, admin };
}

/** One of everything that callers can send, right and wrong. */
async function callEverything(api: Api, receiverUrl: string): Promise<JobView[]> {
  const job = {
    model: MODEL,
    input: 'the zebra has a text',
    parameters: { top_k: 2 },
    metadata: { 'zebra-name': 'zebra-value' },
    webhook: { url: `${receiverUrl}/zebra-path?token=zebra`, secret: WEBHOOK_SECRET },
  };
  const post = (path: string, body: unknown, key = KEY) => api.post(path, body, key);
  const raw = (path: string, init: RequestInit) =>
    fetch(`${api.url}${path}`, { ...init, headers: { authorization: `Bearer ${KEY}`, ...init.headers } });
  const json = { 'content-type': 'application/json' };
  const { id } = (await (await post('/v1/jobs?wait=30', job)).json()) as JobView;
  const array = { ...job, input: ['zebra one', { text: 'zebra two', text_pair: 'zebra three' }] };
  await post('/v1/jobs?wait=30', array);
  await post('/v1/jobs/bulk', { jobs: [job, { ...job, model: 'zebra-model' }, { ...job, input: { zebra: 'zebra' } }] });
  const failed = await post('/v1/jobs?wait=30', { ...job, input: { tokens: [5, UNKNOWN_TOKEN, 7] } });
  const wrong: unknown[] = [
    { ...job, input: 'zebra '.repeat(5000) },
    { ...job, parameters: { zebra: 'zebra' } },
    { ...job, parameters: { top_k: 'zebra' } },
    { ...job, webhook: { url: 'http://zebra:zebra@10.0.0.1/zebra' } },
    { ...job, webhook: { url: receiverUrl, secret: 'zebra-secret' } },
    { ...job, zebra: 'zebra' },
    'zebra',
  ];
  for (const body of wrong) expect((await post('/v1/jobs', body)).status).toBeGreaterThanOrEqual(400);
  await post('/v1/jobs', job, 'zebra-wrong-key');
  await post('/v1/embeddings', { model: 'wordnet-embed', input: 'zebra', encoding_format: 'zebra' });
  await raw('/v1/jobs', { method: 'POST', headers: json, body: '{"model": "wordnet-topic", "input": zebra' });
  await raw('/v1/jobs', { method: 'POST', headers: { 'content-type': 'zebra/zebra' }, body: 'zebra' });
  await raw('/v1/jobs', {
    method: 'POST',
    headers: { ...json, 'idempotency-key': 'zebra-key' },
    body: JSON.stringify(job),
  });
  for (const path of [
    '/v1/zebra',
    '/v1/jobs/zebra',
    '/v1/jobs?cursor=zebra',
    `/v1/jobs/${id}?wait=zebra`,
    '/zebra%ff',
  ]) {
    await raw(path, { headers: { 'x-request-id': 'not plain: zebra' } });
  }
  await (await raw(`/v1/jobs/${id}/events`, {})).text();
  const chat = { model: GENERATOR, messages: [{ role: 'user', content: 'Define zebra.' }], max_tokens: 8 };
  for (const fields of [
    { stream: true },
    {
      store: true,
      metadata: { 'zebra-name': 'zebra' },
      stop: 'zebra',
      prediction: { type: 'content', content: 'zebra' },
    },
    { messages: [{ role: 'zebra', content: 'zebra '.repeat(500) }] },
    { logit_bias: { zebra: 1 }, zebra: 'zebra' },
  ]) {
    await (await post('/v1/chat/completions', { ...chat, ...fields })).text();
  }
  const echoed = await post('/v1/completions', { model: GENERATOR, prompt: 'a zebra', echo: true, max_tokens: 8 });
  expect(await echoed.text()).toContain('a zebra');
  const endpoint = { url: `${receiverUrl}/zebra-endpoint`, description: 'zebra' };
  await post('/v1/webhook-endpoints', endpoint);
  return [await api.end(id, KEY), (await failed.json()) as JobView];
}

test('no input, output, parameter, metadata, key, secret or URL reaches a log line or a metric, whatever goes wrong', async () => {
  const receiver = await startReceiver(withStatus(500, { 'x-zebra': 'zebra' }));
  const { api, worker, webhooks, admin } = await openService(receiver.port);
  const [job, failed] = await callEverything(api, receiver.url);
  expect(job!.status).toBe('completed');
  expect(failed!.error).toMatchObject({ code: 'inference_failed' });
  await receiver.until(8);
  const processes = [api.process, worker, webhooks];

  const metrics = await Promise.all(processes.map(async ({ metricsUrl }) => (await fetch(metricsUrl)).text()));
  for (const text of metrics) {
    expect(text).toContain('shoal_redis_up 1');
    expect(text).not.toMatch(CANARY);
    expect(text).not.toMatch(ULID);
    expect(text).not.toContain(TENANT);
    expect(text).not.toContain('127.0.0.1');
  }
  expect(linesOf(worker).find(({ event }) => event === 'inference.failed')).toMatchObject({
    level: 'warn',
    model: `${MODEL}/1/fp32`,
    job: failed!.id,
    code: 'inference_failed',
  });
  expect(metrics[0]).toContain('code="input_too_long"');
  expect(metrics[1]).toContain('code="inference_failed"');
  expect(metrics[2]).toContain('outcome="refused"');

  // Redis goes away under all of them.
  const gone = once(admin, 'close');
  admin.shutdown('NOSAVE').catch(() => undefined);
  await gone;
  const away = await api.post('/v1/jobs', { model: MODEL, input: 'zebra' }, KEY);
  expect(away.status).toBe(503);
  await expect.poll(() => processes.every((process) => /(redis|queue)\.error/.test(process.output()))).toBe(true);

  for (const process of processes) {
    expect(linesOf(process).length).toBeGreaterThan(2);
    expect(process.output()).not.toMatch(CANARY);
  }
});

test('a line per request with its id, job and tenant, a line per micro-batch with its jobs', async () => {
  const receiver = await startReceiver();
  const { api, worker } = await openService(receiver.port);
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(`${api.url}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', ...init.headers },
    });
  const body = JSON.stringify({ model: MODEL, input: 'a small knob' });
  const sent = await ask('/v1/jobs?wait=30', { method: 'POST', body, headers: { 'x-request-id': 'mine-1' } });
  const { id } = (await sent.json()) as JobView;
  const read = await ask(`/v1/jobs/${id}`);
  const missing = await ask('/v1/nowhere');
  const requests = () => linesOf(api.process).filter(({ event }) => event === 'request.done');
  await expect.poll(() => requests().length).toBe(3);
  expect(sent.headers.get('x-request-id')).toBe('mine-1');
  const line = {
    level: 'debug',
    service: 'api',
    ms: expect.any(Number),
    time: expect.any(String),
    event: 'request.done',
  };
  expect(requests()).toEqual([
    { ...line, request: 'mine-1', method: 'POST', route: '/v1/jobs', status: 200, tenant: TENANT, job: id },
    {
      ...line,
      request: read.headers.get('x-request-id'),
      method: 'GET',
      route: '/v1/jobs/:id',
      status: 200,
      tenant: TENANT,
      job: id,
    },
    { ...line, request: missing.headers.get('x-request-id'), method: 'GET', route: 'none', status: 404 },
  ]);
  const batches = linesOf(worker).filter(({ event }) => event === 'batch.done');
  expect(batches).toMatchObject([
    { level: 'debug', model: `${MODEL}/1/fp32`, items: 1, closed_by: 'idle', jobs: [id], failed: [] },
  ]);
});
