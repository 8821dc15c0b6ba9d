import { TERMINAL_EVENTS } from '@shoal/contracts';
import { expect, test } from 'vitest';
import { deferred, TENANT } from '../support/queue-harness.js';
import { slowly, startReceiver, verifies, withStatus } from '../support/receiver.js';
import { openWebhookBench } from '../support/webhook-bench.js';

const ENDED = TERMINAL_EVENTS;

test('the end of a job reaches the tenant’s endpoint: signed, as GET shows the job, numbered', async () => {
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  await bench.endpoint(`${receiver.url}/in`, ['job.started', ...ENDED]);
  await bench.start();
  const told = deferred();
  await bench.startWorker({
    run: async ([value = 0]) => {
      await told.promise;
      return [2 * value];
    },
  });
  const id = await bench.submitSubscribed(21);
  await receiver.until(1);
  told.resolve();
  await receiver.until(2);
  const { received } = receiver;
  expect(received.map(({ event }) => [event.type, event.data.sequence])).toEqual([
    ['job.started', 1],
    ['job.completed', 2],
  ]);
  const [, end] = received;
  expect(end?.event.data).toMatchObject({ id, object: 'job', status: 'completed', output: 42 });
  expect(end?.event.data.thin).toBeUndefined();
  expect(end?.event.timestamp).toBe(end?.event.data.ended_at);
  expect(received.map((entry) => verifies(entry, bench.secret))).toEqual([true, true]);
  expect(new Set(received.map((entry) => entry.id)).size).toBe(2);
});

test('a job’s own webhook gets what it asks for, signed with its own secret or with the tenant’s', async () => {
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  await bench.webhooks.tenantSecrets(TENANT, bench.box.seal(bench.secret, TENANT));
  await bench.start();
  await bench.submitSubscribed(1, { url: `${receiver.url}/tenant`, events: ['job.completed'] });
  const own = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  await bench.submitSubscribed(2, {
    url: `${receiver.url}/own`,
    events: ['job.completed'],
    secret: bench.box.seal(own, TENANT),
  });
  await bench.submitSubscribed(3, { url: `${receiver.url}/failures`, events: ['job.failed'] });
  await bench.startWorker();
  await receiver.until(2);
  const last = await bench.submitSubscribed(4, { url: `${receiver.url}/last`, events: ['job.completed'] });
  await receiver.until(3);
  const paths = Object.fromEntries(receiver.received.map((entry) => [entry.path, entry]));
  expect(Object.keys(paths).sort()).toEqual(['/last', '/own', '/tenant']);
  expect(verifies(paths['/tenant']!, bench.secret)).toBe(true);
  expect([verifies(paths['/own']!, own), verifies(paths['/own']!, bench.secret)]).toEqual([true, false]);
  expect(paths['/last']?.event.data.id).toBe(last);
});

test('a receiver that fails gets the same message again, under the same id, with the time of each attempt', async () => {
  const receiver = await startReceiver(withStatus(500));
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  const endpoint = await bench.endpoint(receiver.url, ENDED);
  await bench.start({ schedule: [0, 1, 1, 1] });
  await bench.startWorker();
  await bench.submitSubscribed(1);
  await receiver.until(2);
  receiver.answer = withStatus(204);
  await receiver.until(3);
  expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1);
  expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
  const page = async () => (await bench.webhooks.attempts(TENANT, endpoint.id, { limit: 10 })).attempts;
  await expect.poll(async () => (await page()).length).toBe(3);
  expect(
    (await page()).map(({ attempt, status, delivered, response }) => [attempt, status, delivered, response]),
  ).toEqual([
    [3, 204, true, ''],
    [2, 500, false, 'answer 500'],
    [1, 500, false, 'answer 500'],
  ]);
});

test('the end of a job supersedes what was not delivered before', async () => {
  const receiver = await startReceiver(withStatus(500));
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  const endpoint = await bench.endpoint(receiver.url, ['job.started', ...ENDED]);
  await bench.start({ schedule: [0, 300_000, 300_000] });
  const held = deferred();
  await bench.startWorker({
    run: async (values) => {
      await held.promise;
      return values;
    },
  });
  await bench.submitSubscribed(1);
  await receiver.until(1);
  const started = receiver.received[0]!;
  expect(started.event.type).toBe('job.started');
  receiver.answer = withStatus(200);
  held.resolve();
  await receiver.until(2);
  expect(receiver.received[1]?.event.type).toBe('job.completed');
  const tag = `{shoal:webhooks:${TENANT}}`;
  expect(await bench.redis.hget(`${tag}:message:${started.id}`, 'state')).toBe('superseded');
  await expect.poll(() => bench.redis.zcard(`${tag}:pending:${endpoint.id}`)).toBe(0);
  // Nor does its delivery wait for a time that nobody is interested in.
  expect(await bench.redis.zcard('{shoal:webhooks}:deliveries:delayed')).toBe(0);
});

test('entries are read once whoever reads them, and left entries make no second message', async () => {
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  await bench.endpoint(receiver.url, ENDED);
  await bench.startWorker();
  const ids = await Promise.all(Array.from({ length: 20 }, (_, n) => bench.submitSubscribed(n)));
  await Promise.all(ids.map((id) => bench.end(id)));
  // As if a process had ended between writing the messages and removing the entries.
  const { dispatcher, backend } = bench.still();
  await dispatcher.events(await backend.outbox.entries(bench.queue, 10));
  await Promise.all([bench.start(), bench.start()]);
  await receiver.until(20);
  await expect.poll(() => bench.redis.xlen(`${bench.tag}:outbox`)).toBe(0);
  expect(receiver.received.map(({ event }) => event.data.id).sort()).toEqual(ids.toSorted());
});

test('a deleted job is told thinly: nothing of it is sent', async () => {
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  await bench.endpoint(receiver.url, ENDED);
  const id = await bench.submitSubscribed(1);
  await bench.store.remove(TENANT, id);
  await bench.start();
  await receiver.until(1);
  expect(receiver.received[0]?.event).toMatchObject({ type: 'job.cancelled' });
  const links = { self: `/v1/jobs/${id}`, cancel: `/v1/jobs/${id}/cancel`, events: `/v1/jobs/${id}/events` };
  expect(receiver.received[0]?.event.data).toEqual({
    id,
    object: 'job',
    status: 'cancelled',
    sequence: 1,
    thin: true,
    links,
  });
});

test('a receiver that hangs holds up no other, and what waits for it asks once', async () => {
  const held: (() => void)[] = [];
  const slow = await startReceiver((_, response) => void held.push(() => response.end()));
  const quick = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${slow.port}`, `127.0.0.0/8:${quick.port}`]);
  await bench.endpoint(slow.url, ['job.failed']);
  await bench.endpoint(quick.url, ['job.completed']);
  const { metrics } = await bench.start({ concurrency: 8, receiverConcurrency: 2, sender: { timeoutMs: 60_000 } });
  await bench.startWorker({
    run: async (values) => values.map((value) => (value < 50 ? new Error('no') : value)),
  });
  await Promise.all(Array.from({ length: 50 }, (_, n) => bench.submitSubscribed(n)));
  const deferrals = async () => (await metrics.deferred.get()).values[0]?.value;
  await expect.poll(deferrals).toBe(48);
  await Promise.all(Array.from({ length: 50 }, (_, n) => bench.submitSubscribed(50 + n)));
  await quick.until(50);
  expect(slow.received).toHaveLength(2);
  slow.answer = withStatus(200);
  for (const answer of held) answer();
  await slow.until(50);
  expect(new Set(slow.received.map(({ id }) => id)).size).toBe(50);
});

test('who waits is called one after the other as soon as there is room', async () => {
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  await bench.endpoint(receiver.url, ENDED);
  await bench.startWorker();
  const ids = await Promise.all(Array.from({ length: 100 }, (_, n) => bench.submitSubscribed(n)));
  await Promise.all(ids.map((id) => bench.end(id)));
  const { answer, most } = slowly(5);
  receiver.answer = answer;
  const delivering = await bench.start({ receiverConcurrency: 2 });
  await receiver.until(100);
  expect(most()).toBe(2);
  expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(100);
  const { values } = await delivering.metrics.deferred.get();
  expect(values[0]?.value).toBeLessThan(200);
});

test('a stop finishes what is being sent and starts nothing more', async () => {
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  await bench.endpoint(receiver.url, ENDED);
  await bench.startWorker();
  let answer = () => {};
  receiver.answer = (_, response) => {
    answer = () => void response.end();
  };
  const delivering = await bench.start({ receiverConcurrency: 1 });
  for (let n = 0; n < 5; n++) await bench.submitSubscribed(n);
  await receiver.until(1);
  const stopped = delivering.stop();
  answer();
  await stopped;
  expect(receiver.received).toHaveLength(1);
  const first = receiver.received[0]!;
  expect(await bench.redis.hget(`{shoal:webhooks:${TENANT}}:message:${first.id}`, 'state')).toBe('delivered');
});
