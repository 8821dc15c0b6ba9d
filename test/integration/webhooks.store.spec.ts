import { MAX_ENDPOINTS, TERMINAL_EVENTS } from '@shoal/contracts';
import { describe, expect, test } from 'vitest';
import { TENANT } from '../support/queue-harness.js';
import { startReceiver, withStatus } from '../support/receiver.js';
import { openWebhookBench } from '../support/webhook-bench.js';

const URL = 'https://hooks.example.com/in';
const NOTHING = { started: false, output: false, ended: false };

describe('who wants which events', () => {
  test('is known to every replica within 250 ms and to the one that wrote it at once', async () => {
    const bench = await openWebhookBench([]);
    const other = await bench.openWebhooks();
    const endpoint = await bench.endpoint(URL, ['job.started']);
    expect(bench.webhooks.subscribed(TENANT)).toEqual({ ...NOTHING, started: true });
    await expect.poll(() => other.subscribed(TENANT), { interval: 10 }).toEqual({ ...NOTHING, started: true });
    await bench.endpoint(URL, ['job.failed']);
    expect(bench.webhooks.subscribed(TENANT)).toEqual({ started: true, output: false, ended: true });
    expect(bench.webhooks.subscribed('other')).toEqual(NOTHING);
    await bench.webhooks.updateEndpoint(TENANT, endpoint.id, { events: ['job.output'] });
    expect(bench.webhooks.subscribed(TENANT)).toEqual({ started: false, output: true, ended: true });
    await bench.webhooks.updateEndpoint(TENANT, endpoint.id, { disabled: 'by_request' });
    expect(bench.webhooks.subscribed(TENANT)).toEqual({ ...NOTHING, ended: true });
  });

  test('is forgotten with the endpoint', async () => {
    const bench = await openWebhookBench([]);
    const { id } = await bench.endpoint(URL, TERMINAL_EVENTS);
    await bench.webhooks.removeEndpoint(TENANT, id);
    expect(bench.webhooks.subscribed(TENANT)).toEqual(NOTHING);
    for (const call of [
      () => bench.webhooks.endpoint(TENANT, id),
      () => bench.webhooks.removeEndpoint(TENANT, id),
      () => bench.webhooks.updateEndpoint(TENANT, id, { description: 'x' }),
      () => bench.webhooks.rotateSecret(TENANT, id, 'x', 0),
      () => bench.webhooks.test(TENANT, id, 'msg_1'),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'endpoint_not_found' });
    }
    expect(bench.webhooks.subscribed(TENANT)).toEqual(NOTHING);
    expect(await bench.redis.hgetall('{shoal:webhooks}:events')).toEqual({});
  });
});

test('a tenant has so many endpoints and sees no other’s', async () => {
  const bench = await openWebhookBench([]);
  for (let n = 0; n < MAX_ENDPOINTS; n++) await bench.endpoint(URL, TERMINAL_EVENTS, { description: String(n) });
  await expect(bench.endpoint(URL, TERMINAL_EVENTS)).rejects.toMatchObject({ code: 'limit_reached' });
  const all = await bench.webhooks.endpoints(TENANT);
  // Those of one millisecond are in no order.
  expect(all.map(({ description }) => Number(description)).sort((a, b) => a - b)).toEqual(all.map((_, n) => n));
  await expect(bench.webhooks.endpoint('other', all[0]!.id)).rejects.toMatchObject({ code: 'endpoint_not_found' });
});

test('rotations at the same time all count', async () => {
  const bench = await openWebhookBench([]);
  const { id } = await bench.endpoint(URL, TERMINAL_EVENTS);
  await Promise.all(Array.from({ length: 5 }, (_, n) => bench.webhooks.rotateSecret(TENANT, id, String(n), 60_000)));
  expect((await bench.webhooks.endpoint(TENANT, id)).secrets).toHaveLength(6);
});

test('the tenant’s own secret is made once', async () => {
  const bench = await openWebhookBench([]);
  const made = await Promise.all(['a', 'b', 'c'].map((sealed) => bench.webhooks.tenantSecrets(TENANT, sealed)));
  expect(new Set(made.map(([secret]) => secret?.sealed)).size).toBe(1);
  const rotated = await bench.webhooks.rotateTenantSecret(TENANT, 'd', 60_000);
  expect(rotated.map(({ sealed }) => sealed)).toEqual(['d', made[0]![0]!.sealed]);
});

test('the log of attempts is kept by number and by bytes, and is read in pages', async () => {
  const receiver = await startReceiver((_, response) => void response.writeHead(500).end('x'.repeat(30_000)));
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  const { id } = await bench.endpoint(receiver.url, TERMINAL_EVENTS);
  const { deliverer, dispatcher, enqueued } = bench.still({ schedule: new Array(200).fill(0) });
  await dispatcher.task('1-0', { kind: 'test', tenant: TENANT, endpoint: id, message: 'msg_1', at: Date.now() });
  for (let n = 0; n < 120; n++) await deliverer.attempt((await deliverer.address(enqueued[0]!))!);
  const first = await bench.webhooks.attempts(TENANT, id, { limit: 2 });
  expect(first.attempts.map(({ attempt, response }) => [attempt, response.length])).toEqual([
    [120, 20_000],
    [119, 20_000],
  ]);
  const all = await bench.webhooks.attempts(TENANT, id, { limit: 1000, cursor: first.next! });
  // 2 MiB hold 104 answers of 20,000 bytes.
  expect(all.attempts.length).toBeGreaterThan(95);
  expect(all.attempts.length).toBeLessThan(103);
  expect(all.next).toBeNull();
  expect((await bench.webhooks.attempts(TENANT, id, { limit: 5, message: 'msg_2' })).attempts).toEqual([]);
});

test('tests, replays and recoveries are handed to who delivers', async () => {
  const receiver = await startReceiver(withStatus(500));
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  const { id } = await bench.endpoint(receiver.url, TERMINAL_EVENTS);
  await bench.start({ schedule: [0] });
  await bench.webhooks.test(TENANT, id, 'msg_test');
  await receiver.until(1);
  expect(receiver.received[0]).toMatchObject({ id: 'msg_test', event: { type: 'webhook.test' } });
  const failed = `{shoal:webhooks:${TENANT}}:failed:${id}`;
  await expect.poll(() => bench.redis.zcard(failed)).toBe(1);
  await bench.webhooks.replay(TENANT, id, 'msg_test');
  await receiver.until(2);
  await expect.poll(() => bench.redis.zcard(failed)).toBe(1);
  await bench.webhooks.recover(TENANT, id, 0);
  await receiver.until(3);
  expect(new Set(receiver.received.map((entry) => entry.id))).toEqual(new Set(['msg_test']));
  await expect(bench.webhooks.replay(TENANT, id, 'msg_none')).rejects.toMatchObject({ code: 'message_not_found' });
});
