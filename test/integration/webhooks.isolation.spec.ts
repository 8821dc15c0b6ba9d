/** What one tenant's receivers, backlog and results do to another's webhooks: nothing. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { TERMINAL_EVENTS } from '@shoal/contracts';
import { expect, onTestFinished, test } from 'vitest';
import { TENANT } from '../support/queue-harness.js';
import { slowly, startReceiver, verifies } from '../support/receiver.js';
import { openWebhookBench, type WebhookBench } from '../support/webhook-bench.js';

const HOG = 'hog';
const EVENTS = ['job.cancelled'] as const;

/** Takes connections and says nothing. */
async function startSilent() {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    sockets.add(socket.once('close', () => sockets.delete(socket)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const release = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(release);
  return { port: (server.address() as AddressInfo).port, open: () => sockets.size, release };
}

/** An ended job whose webhook is `url`. */
async function tell(bench: WebhookBench, tenant: string, url: string): Promise<string> {
  const id = await bench.submitSubscribed(
    1,
    { url, events: EVENTS, secret: bench.box.seal(bench.secret, tenant) },
    tenant,
  );
  await bench.store.cancel(tenant, id);
  return id;
}

test('any number of silent receivers of one tenant leaves room for the others', async () => {
  const silent = await startSilent();
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${silent.port}`, `127.0.0.0/8:${receiver.port}`]);
  const { metrics, stop } = await bench.start({ concurrency: 16, sender: { timeoutMs: 600_000 } });
  const hosts = Array.from({ length: 160 }, (_, n) => `http://h${n}.example.com:${silent.port}/`);
  await Promise.all(hosts.map((url) => tell(bench, HOG, url)));
  // Half of the process's, and all others wait for their turn.
  await expect.poll(silent.open).toBe(8);
  await expect.poll(async () => (await metrics.deferred.get()).values[0]?.value).toBe(152);
  for (let n = 0; n < 20; n++) await tell(bench, TENANT, `${receiver.url}/${n}`);
  await receiver.until(20);
  expect(silent.open()).toBe(8);
  const stopped = stop();
  silent.release();
  await stopped;
});

test('who waits for its tenant’s share is called when there is room, for each receiver by turns', async () => {
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  const { answer, most } = slowly(5);
  receiver.answer = answer;
  await bench.start({ concurrency: 4 });
  for (let n = 0; n < 100; n++) await tell(bench, HOG, `http://h${n % 10}.example.com:${receiver.port}/`);
  await receiver.until(100);
  expect(most()).toBe(2);
  expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(100);
});

test('a backlog goes behind what others have', async () => {
  const bench = await openWebhookBench(['127.0.0.0/8:1']);
  const still = bench.still();
  for (let n = 0; n < 300; n++) await tell(bench, HOG, 'http://127.0.0.1:1/');
  await tell(bench, TENANT, 'http://127.0.0.1:1/');
  await still.dispatcher.events(await still.backend.outbox.entries(bench.queue, 1000));
  const priorities = (tenant: string) =>
    still.enqueued.filter((one) => one.tenant === tenant).map((one) => one.priority);
  const hogs = priorities(HOG).sort((a, b) => a - b);
  expect([hogs[0], hogs.at(-1), hogs.length]).toEqual([1, 4, 300]);
  expect(hogs.filter((priority) => priority === 1)).toHaveLength(64);
  expect(priorities(TENANT)).toEqual([1]);
});

test('entries of one tenant that wait in an outbox hold up no other’s', async () => {
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  for (let n = 0; n < 500; n++) await tell(bench, HOG, `${receiver.url}/hog`);
  await tell(bench, TENANT, `${receiver.url}/other`);
  await bench.start({ schedule: [0] });
  await receiver.until(501);
  const place = receiver.received.findIndex(({ path }) => path === '/other');
  // Relayed with the first hundred; what is sent meanwhile is sent before it.
  expect(place).toBeLessThan(250);
});

test('whether results are too large to be sent is seen without reading them', async () => {
  const bench = await openWebhookBench([]);
  const { backend } = bench.still();
  await bench.startWorker();
  const id = await bench.submit([1, 2, 3]);
  await bench.end(id);
  const stored = Object.entries(await bench.redis.hgetallBuffer(bench.recordKey(id)));
  const bytes = stored.filter(([name]) => name.startsWith('out')).reduce((sum, [, value]) => sum + value.length, 0);
  expect(bytes).toBeGreaterThan(0);
  expect(await backend.resultsFit(id, bytes)).toBe(true);
  expect(await backend.resultsFit(id, bytes - 1)).toBe(false);
  expect(await backend.resultsFit(`${bench.queue}.01kdxw0000abcdefghjkmnpqrs`, 0)).toBe(true);
});

test('a secret that is lost holds messages back; the next one signs them', async () => {
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  await bench.webhooks.tenantSecrets(TENANT, bench.box.seal('whsec_lost', TENANT));
  const id = await bench.submitSubscribed(1, { url: receiver.url, events: EVENTS });
  await bench.redis.del(`{shoal:webhooks:${TENANT}}:secret`);
  await bench.store.cancel(TENANT, id);
  const { logged, metrics } = await bench.start({ schedule: new Array(1000).fill(10) });
  const unsigned = async () =>
    (await metrics.attempts.get()).values.find(({ labels }) => labels.outcome === 'no_secret');
  await expect.poll(async () => (await unsigned())?.value ?? 0).toBeGreaterThan(1);
  expect(receiver.received).toEqual([]);
  expect(logged.join()).toContain('webhook.no_secret');
  await bench.webhooks.tenantSecrets(TENANT, bench.box.seal(bench.secret, TENANT));
  await receiver.until(1);
  expect(verifies(receiver.received[0]!, bench.secret)).toBe(true);
});

test('a secret that was sealed with another key is as good as lost, and the endpoint’s owner is told', async () => {
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  const { id } = await bench.endpoint(receiver.url, TERMINAL_EVENTS, { sealed: 'v1.AAAA' });
  await bench.start({ schedule: [0] });
  await bench.webhooks.test(TENANT, id, 'msg_1');
  await expect
    .poll(async () => (await bench.webhooks.attempts(TENANT, id, { limit: 1 })).attempts[0])
    .toMatchObject({
      error: 'no_secret',
      reason: expect.stringContaining('secret'),
      nextAt: null,
    });
  expect(receiver.received).toEqual([]);
});

test('a tenant may ask for so many tests at once, whatever the others ask for', async () => {
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  const { id } = await bench.endpoint(receiver.url, TERMINAL_EVENTS);
  const other = await bench.webhooks.createEndpoint('other', {
    url: receiver.url,
    events: TERMINAL_EVENTS,
    description: '',
    disabled: null,
    sealed: bench.box.seal(bench.secret, 'other'),
  });
  for (let n = 0; n < 50; n++) await bench.webhooks.test(TENANT, id, `msg_${n}`);
  for (const call of [() => bench.webhooks.test(TENANT, id, 'msg_50'), () => bench.webhooks.recover(TENANT, id, 0)]) {
    await expect(call()).rejects.toMatchObject({ code: 'tenant_backlog_full' });
  }
  await bench.webhooks.test('other', other.id, 'msg_other');
  await bench.start();
  await receiver.until(51);
  await expect.poll(() => bench.redis.exists('{shoal:webhooks}:tasks:waiting')).toBe(0);
  await bench.webhooks.test(TENANT, id, 'msg_51');
  await receiver.until(52);
});
