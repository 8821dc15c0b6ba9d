/** Webhooks as their users meet them: API, worker and webhooks as processes, a receiver on loopback. */
import { randomBytes } from 'node:crypto';
import type { AttemptView, EndpointView, JobView, SecretView } from '@shoal/contracts';
import { freePort } from '@shoal/tools/ports';
import { expect, onTestFinished, test } from 'vitest';
import { startOwnRedis } from '../support/own-redis.js';
import { type Running, startApi, startWebhooks, startWorker } from '../support/processes.js';
import { startReceiver, verifies, withStatus } from '../support/receiver.js';

const MODEL = 'wordnet-topic';

async function openService(port: number, env: Record<string, string> = {}) {
  const redisUrl = await startOwnRedis();
  const shared = {
    SHOAL_SECRET_KEY: randomBytes(32).toString('base64'),
    SHOAL_WEBHOOK_ALLOW: `127.0.0.0/8:${port}`,
    ...env,
  };
  const running: Running[] = [];
  onTestFinished(async () => {
    await Promise.all(running.map((process) => process.stop()));
  });
  const api = await startApi({ redisUrl, env: shared });
  const webhooks = await startWebhooks({ redisUrl, env: shared });
  running.push(api, webhooks);
  const call = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const response = await fetch(`${api.url}/v1${path}`, {
      method,
      headers: body ? { 'content-type': 'application/json' } : {},
      body: body ? JSON.stringify(body) : null,
    });
    expect(response.ok, `${method} ${path}: ${response.status}`).toBe(true);
    return (await response.json()) as T;
  };
  return {
    call,
    webhooks,
    env: shared,
    async startWorker() {
      running.push(await startWorker({ redisUrl, env: { SHOAL_MODELS: MODEL } }));
    },
  };
}

test('events of a job reach an endpoint and the job’s own URL, and can be seen, tested and replayed', async () => {
  const receiver = await startReceiver();
  const { call, startWorker, webhooks, env } = await openService(receiver.port);
  await startWorker();
  const { id: endpoint, secret } = await call<EndpointView & SecretView>('POST', '/webhook-endpoints', {
    url: `${receiver.url}/endpoint`,
  });
  const own = await call<SecretView>('GET', '/webhook-secret');
  const job = await call<JobView>('POST', '/jobs?wait=30', {
    model: MODEL,
    input: 'a small knob',
    metadata: { order: '7' },
    webhook: { url: `${receiver.url}/job` },
  });
  expect(job.status).toBe('completed');
  await receiver.until(2);
  const at = (path: string) => receiver.received.find((entry) => entry.path === path)!;
  expect([verifies(at('/endpoint'), secret), verifies(at('/job'), own.secret)]).toEqual([true, true]);
  const { sequence, ...data } = at('/job').event.data;
  expect(data).toEqual(await call('GET', `/jobs/${job.id}`));
  expect(sequence).toBe(1);

  const sent = await call<{ id: string }>('POST', `/webhook-endpoints/${endpoint}/test`);
  await receiver.until(3);
  expect(receiver.received[2]).toMatchObject({ id: sent.id, event: { type: 'webhook.test' } });
  await call('POST', `/webhook-endpoints/${endpoint}/replay`, { message: at('/endpoint').id });
  await receiver.until(4);
  expect(receiver.received[3]?.id).toBe(at('/endpoint').id);
  const attempts = () => call<{ data: AttemptView[] }>('GET', `/webhook-endpoints/${endpoint}/attempts`);
  await expect.poll(async () => (await attempts()).data.length).toBe(3);
  expect((await attempts()).data.every(({ delivered, status }) => delivered && status === 200)).toBe(true);
  for (const text of [secret, own.secret, env.SHOAL_SECRET_KEY!, 'small knob', '"order"']) {
    expect(webhooks.output()).not.toContain(text);
  }
});

test('SIGTERM lets a running attempt end and starts no other; a second one ends the process at once', async () => {
  let answer = () => {};
  const receiver = await startReceiver((_, response) => {
    answer = () => void response.end();
  });
  const { call, webhooks } = await openService(receiver.port, { SHOAL_WEBHOOK_RECEIVER_CONCURRENCY: '1' });
  const { id } = await call<EndpointView>('POST', '/webhook-endpoints', { url: receiver.url });
  for (let n = 0; n < 3; n++) await call('POST', `/webhook-endpoints/${id}/test`);
  await receiver.until(1);
  webhooks.kill('SIGTERM');
  await expect.poll(() => webhooks.output()).toContain('webhooks.draining');
  answer();
  expect(await webhooks.exited).toBe('exit code 0');
  expect(receiver.received).toHaveLength(1);

  receiver.answer = () => undefined;
  const { webhooks: hanging, call: again } = await openService(receiver.port);
  const other = await again<EndpointView>('POST', '/webhook-endpoints', { url: receiver.url });
  await again('POST', `/webhook-endpoints/${other.id}/test`);
  await receiver.until(2);
  hanging.kill('SIGTERM');
  await expect.poll(() => hanging.output()).toContain('webhooks.draining');
  hanging.kill('SIGTERM');
  expect(await hanging.exited).toBe('exit code 1');
});

test('a redirect to a place that may not be called is a failure that leads nowhere', async () => {
  const secretPlace = await startReceiver();
  const receiver = await startReceiver(withStatus(307, { location: secretPlace.url }));
  const { call } = await openService(receiver.port, { SHOAL_WEBHOOK_SCHEDULE: '0' });
  const { id } = await call<EndpointView>('POST', '/webhook-endpoints', { url: receiver.url });
  await call('POST', `/webhook-endpoints/${id}/test`);
  const attempts = () => call<{ data: AttemptView[] }>('GET', `/webhook-endpoints/${id}/attempts`);
  await expect.poll(async () => (await attempts()).data[0]?.status).toBe(307);
  expect((await attempts()).data[0]).toMatchObject({ delivered: false, next_attempt_at: null });
  expect(secretPlace.received).toEqual([]);
});

test('probes and metrics are on a port of their own', async () => {
  const { webhooks } = await openService(await freePort());
  const base = webhooks.metricsUrl.replace('/metrics', '');
  for (const path of ['/healthz', '/readyz']) expect((await fetch(base + path)).status).toBe(200);
  expect(await (await fetch(webhooks.metricsUrl)).text()).toContain('shoal_webhook_attempts_total');
});
