/** Days of attempts in a moment: the clock and the chance are the test's. */
import { TERMINAL_EVENTS } from '@shoal/contracts';
import { DEFAULT_SCHEDULE, DISABLE_AFTER_MS } from '@shoal/webhooks';
import { describe, expect, test } from 'vitest';
import { TENANT } from '../support/queue-harness.js';
import { startReceiver, verifies, withStatus } from '../support/receiver.js';
import { openWebhookBench, type WebhookBench } from '../support/webhook-bench.js';

const HOUR = 3_600_000;

/** One message of an ended job, and a way to send it whenever its time has come. */
async function oneMessage(bench: WebhookBench, random = () => 0.5) {
  let now = Date.now();
  const still = bench.still({
    schedule: DEFAULT_SCHEDULE,
    disableAfterMs: DISABLE_AFTER_MS,
    random,
    sender: { clock: () => now },
  });
  const relay = async () => {
    const entries = await still.backend.outbox.entries(bench.queue, 100);
    await still.dispatcher.events(entries);
    await still.backend.outbox.remove(
      bench.queue,
      entries.map(({ id }) => id),
    );
  };
  await bench.store.cancel(TENANT, await bench.submitSubscribed(1));
  await relay();
  const at: number[] = [];
  const carried = still.enqueued[0]!;
  return {
    ...still,
    relay,
    carried,
    pass: (ms: number) => {
      now += ms;
    },
    /** Times of the attempts in ms since the first. */
    at,
    /** False where nothing is left to be sent. */
    async attempt(): Promise<boolean> {
      const addressed = await still.deliverer.address(still.enqueued.at(-1)!);
      if (addressed === null) return false;
      at.push(now);
      const { nextAt } = await still.deliverer.attempt(addressed);
      if (nextAt === null) return false;
      now = nextAt;
      return true;
    },
  };
}

test('ten attempts over three days, then the message is given up and can be replayed', async () => {
  const receiver = await startReceiver(withStatus(503));
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  const endpoint = await bench.endpoint(receiver.url, TERMINAL_EVENTS);
  const message = await oneMessage(bench);
  while (await message.attempt());
  expect(message.at.map((ms, n) => (n === 0 ? 0 : ms - message.at[n - 1]!))).toEqual(DEFAULT_SCHEDULE);
  const times = receiver.received.map(({ headers }) => Number(headers['webhook-timestamp']));
  expect(times).toEqual(message.at.map((ms) => Math.floor(ms / 1000)));
  expect(await message.backend.messages.find(TENANT, message.carried.message)).toMatchObject({
    state: 'failed',
    attempts: 10,
  });

  await message.dispatcher.task('7-0', { kind: 'recover', tenant: TENANT, endpoint: endpoint.id, since: 0 });
  expect(message.enqueued.at(-1)).toMatchObject({ message: message.carried.message });
  receiver.answer = withStatus(200);
  expect(await message.attempt()).toBe(false);
  expect(receiver.received).toHaveLength(11);
  expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1);
  await message.dispatcher.task('8-0', { kind: 'recover', tenant: TENANT, endpoint: endpoint.id, since: 0 });
  expect(message.enqueued).toHaveLength(2);
});

test('an overloaded receiver is left alone for a minute at least', async () => {
  const receiver = await startReceiver(withStatus(429, { 'retry-after': '1' }));
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  await bench.endpoint(receiver.url, TERMINAL_EVENTS);
  const message = await oneMessage(bench);
  await message.attempt();
  await message.attempt();
  expect(message.at[1]! - message.at[0]!).toBe(60_000);
});

describe('an endpoint', () => {
  test('that answers 410 is disabled at once', async () => {
    const receiver = await startReceiver(withStatus(410));
    const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
    const endpoint = await bench.endpoint(receiver.url, TERMINAL_EVENTS);
    const message = await oneMessage(bench);
    expect(await message.attempt()).toBe(false);
    expect((await bench.webhooks.endpoint(TENANT, endpoint.id)).disabled).toBe('gone');
    await expect.poll(() => bench.webhooks.subscribed(TENANT).ended).toBe(false);
    await bench.store.cancel(TENANT, await bench.submitSubscribed(2));
    await message.relay();
    expect(message.enqueued).toHaveLength(1);
  });

  test('that only failed for five days is disabled, and what waits for it is given up', async () => {
    const receiver = await startReceiver(withStatus(500));
    const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
    const endpoint = await bench.endpoint(receiver.url, TERMINAL_EVENTS);
    const message = await oneMessage(bench);
    await message.attempt();
    message.pass(119 * HOUR);
    await message.attempt();
    expect((await bench.webhooks.endpoint(TENANT, endpoint.id)).disabled).toBeNull();
    message.pass(HOUR);
    await message.attempt();
    expect((await bench.webhooks.endpoint(TENANT, endpoint.id)).disabled).toBe('failing');
    expect(await message.attempt()).toBe(false);
    expect(await message.backend.messages.find(TENANT, message.carried.message)).toMatchObject({ state: 'failed' });
  });

  test('that succeeds once in five days goes on, and one that is enabled again starts afresh', async () => {
    const receiver = await startReceiver(withStatus(500));
    const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
    const endpoint = await bench.endpoint(receiver.url, TERMINAL_EVENTS);
    const message = await oneMessage(bench);
    await message.attempt();
    message.pass(119 * HOUR);
    receiver.answer = withStatus(200);
    await message.attempt();
    receiver.answer = withStatus(500);
    await message.dispatcher.task('1-0', {
      kind: 'replay',
      tenant: TENANT,
      endpoint: endpoint.id,
      message: message.carried.message,
    });
    message.pass(HOUR);
    await message.attempt();
    expect((await bench.webhooks.endpoint(TENANT, endpoint.id)).disabled).toBeNull();
    message.pass(120 * HOUR);
    await message.attempt();
    expect((await bench.webhooks.endpoint(TENANT, endpoint.id)).disabled).toBe('failing');
    await bench.webhooks.updateEndpoint(TENANT, endpoint.id, { disabled: null });
    await message.attempt();
    expect((await bench.webhooks.endpoint(TENANT, endpoint.id)).disabled).toBeNull();
  });
});

test('after a rotation both secrets sign for the overlap, then the new one alone', async () => {
  const receiver = await startReceiver(withStatus(500));
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  const endpoint = await bench.endpoint(receiver.url, TERMINAL_EVENTS);
  const next = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  await bench.webhooks.rotateSecret(TENANT, endpoint.id, bench.box.seal(next, TENANT), HOUR);
  const message = await oneMessage(bench);
  await message.attempt();
  const [first] = receiver.received;
  expect([verifies(first!, bench.secret), verifies(first!, next)]).toEqual([true, true]);
  message.pass(2 * HOUR);
  await message.attempt();
  expect(receiver.received[1]?.headers['webhook-signature']?.split(' ')).toHaveLength(1);
});

test('who carries a message no longer leaves it alone', async () => {
  const receiver = await startReceiver(withStatus(500));
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`]);
  const endpoint = await bench.endpoint(receiver.url, TERMINAL_EVENTS);
  const message = await oneMessage(bench);
  await message.attempt();
  const task = { kind: 'replay', tenant: TENANT, endpoint: endpoint.id, message: message.carried.message } as const;
  await message.dispatcher.task('9-0', task);
  expect(await message.deliverer.address(message.carried)).toBeNull();
  expect(await message.deliverer.address(message.enqueued.at(-1)!)).not.toBeNull();
});
