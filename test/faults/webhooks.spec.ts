import { randomBytes } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { EndpointView, SecretView } from '@shoal/contracts';
import { AllowList } from '@shoal/network';
import { ALLOWED_ADDRESSES, DENIED_ADDRESSES } from '@shoal/network/testing';
import { newSecret, parseDestination, resolveDestination, type Sender, send } from '@shoal/webhooks';
import { expect, onTestFinished } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { type Running, startWebhooks } from '../support/processes.js';
import { type Answer, type Received, startReceiver, verifies, withStatus } from '../support/receiver.js';
import { scenario, sized } from './scenario.js';

const JOBS = sized(1000, 200);
const KILLS = 2;
const TEXTS = ['a large fish', 'a musical instrument with strings', 'a feeling of great joy', 'the act of buying'];
const TIMEOUT_MS = 500;

/** What a receiver does to an attempt before it takes a message at last: two of these each, by turns. */
const FAULTS: readonly Answer[] = [
  withStatus(500),
  () => undefined,
  withStatus(307, { location: 'http://127.0.0.1:1/' }),
  withStatus(429, { 'retry-after': '0' }),
  (_, _response, request) => void request.socket.destroy(),
];
const FAULTS_EACH = 2;

/** Takes a message at its third attempt; remembers when each one was taken, and how often. */
function stubborn() {
  /** Message → how many there were before it, and its attempts so far. */
  const known = new Map<string, { readonly place: number; attempts: number }>();
  const taken = new Map<string, { at: number; times: number }>();
  const answer: Answer = (received, response, request) => {
    const { id } = received;
    const message = known.get(id) ?? { place: known.size, attempts: 0 };
    known.set(id, message);
    message.attempts += 1;
    if (message.attempts <= FAULTS_EACH) {
      FAULTS[(message.place + message.attempts) % FAULTS.length]!(received, response, request);
      return;
    }
    const before = taken.get(id);
    taken.set(id, { at: before?.at ?? performance.now(), times: (before?.times ?? 0) + 1 });
    response.end();
  };
  return { answer, taken };
}

scenario(`webhooks SIGKILL × ${KILLS}, a receiver that fails by turns`, async (row) => {
  row.load = '500, hang, redirect, 429 and drop before each delivery';
  const { answer, taken } = stubborn();
  const receiver = await startReceiver(answer);
  const env = {
    SHOAL_SECRET_KEY: randomBytes(32).toString('base64'),
    SHOAL_WEBHOOK_ALLOW: `127.0.0.0/8:${receiver.port}`,
  };
  const fleet = await openFleet({ model: 'wordnet-topic', env });
  const api = await fleet.startApi();
  const created = await api.post('/v1/webhook-endpoints', {
    url: receiver.url,
    events: ['job.completed', 'job.failed'],
  });
  expect(created.status).toBe(201);
  const { secret, id: endpoint } = (await created.json()) as EndpointView & SecretView;

  const startDelivering = () =>
    startWebhooks({
      redisUrl: fleet.redisUrl,
      env: {
        ...env,
        SHOAL_WEBHOOK_SCHEDULE: `0,${new Array(20).fill('200ms').join(',')}`,
        SHOAL_WEBHOOK_TIMEOUT: `${TIMEOUT_MS}ms`,
        SHOAL_WEBHOOK_RECEIVER_CONCURRENCY: '16',
      },
    });
  let delivering: Running = await startDelivering();
  onTestFinished(async () => void (await delivering.stop()));
  await fleet.startWorker();
  const ids = await api.submitBulk(Array.from({ length: JOBS }, (_, n) => TEXTS[n % TEXTS.length]));
  row.jobs = ids.length;

  const deliveredAtLeast = (count: number) =>
    expect.poll(() => taken.size, { interval: 5, timeout: 600_000 }).toBeGreaterThanOrEqual(count);
  const kills: { at: number; held: string[] }[] = [];
  for (let kill = 1; kill <= KILLS; kill++) {
    await deliveredAtLeast((JOBS * kill) / (KILLS + 2));
    delivering.kill('SIGKILL');
    expect(await delivering.exited).toBe('SIGKILL');
    const seen = new Set(receiver.received.map(({ id }) => id));
    kills.push({ at: performance.now(), held: [...seen].filter((id) => !taken.has(id)) });
    delivering = await startDelivering();
  }
  await deliveredAtLeast(JOBS);

  const messages = new Map<string, Set<string>>();
  for (const { event, id } of receiver.received) {
    messages.set(event.data.id, (messages.get(event.data.id) ?? new Set()).add(id));
  }
  row.lost = ids.filter((id) => ![...(messages.get(id) ?? [])].some((message) => taken.has(message))).length;
  // Whoever is killed between the receiver's answer and its record delivers once more: at least once is the promise.
  row.duplicated = [...taken.values()].filter(({ times }) => times > 1).length;
  const waits = kills.flatMap(({ at, held }) => held.map((id) => taken.get(id)!.at - at));
  row.recovery = Math.max(...waits) / 1000;
  row.note = `${receiver.received.length} attempts; ${row.duplicated} messages were taken twice`;

  expect(row.lost).toBe(0);
  expect([...messages.values()].filter((own) => own.size !== 1)).toEqual([]);
  expect([...messages.keys()].sort()).toEqual(ids.toSorted());
  expect(new Set(receiver.received.map(({ event }) => event.type))).toEqual(new Set(['job.completed']));
  expect(unverified(receiver.received, secret)).toEqual([]);
  // No more than what was in flight at a kill: 16 attempts each.
  expect(row.duplicated).toBeLessThanOrEqual(16 * KILLS);
  const pending = `{shoal:webhooks:default}:pending:${endpoint}`;
  await expect.poll(() => fleet.redis.zcard(pending), { timeout: 60_000 }).toBe(0);
});

/** Attempts are of the last minutes: none is older than the tolerance of standardwebhooks. */
function unverified(received: readonly Received[], secret: string): string[] {
  return received.filter((entry) => !verifies(entry, secret)).map(({ id }) => id);
}

scenario('webhooks to where they may not go', async (row) => {
  const opened: unknown[] = [];
  const note = (socket: unknown) => void opened.push(socket);
  subscribe('net.client.socket', note);
  onTestFinished(() => void unsubscribe('net.client.socket', note));
  const nowhere = new AllowList([]);
  const sender = (resolve: Sender['resolve'], allow = nowhere): Sender => {
    return { resolve, allow, timeoutMs: 2000, clock: Date.now };
  };
  const message = { id: 'msg_1', body: Buffer.from('{}'), secrets: [newSecret()] };
  const outcome = async (url: string, resolve: Sender['resolve'], allow?: AllowList) => {
    const { status, error } = await send({ ...message, url }, sender(resolve, allow));
    return status ?? error;
  };

  for (const address of DENIED_ADDRESSES) {
    const host = address.includes(':') ? `[${address}]` : address;
    const answers = [
      await outcome(`https://${host}/`, async () => [address]),
      await outcome('https://hooks.example.com/', async () => [address]),
      await outcome('https://hooks.example.com/', async () => ['1.1.1.1', address]),
    ];
    expect([address, ...answers]).toEqual([address, ...answers.map(() => 'destination_not_allowed')]);
  }
  for (const address of ALLOWED_ADDRESSES) {
    const destination = parseDestination('https://hooks.example.com/', nowhere);
    expect(await resolveDestination(destination, async () => [address], nowhere)).toEqual([address]);
  }
  // A name that was public when it was registered.
  const answers = [['1.1.1.1'], ['127.0.0.1']];
  const rebinding = async () => answers.shift() ?? [];
  const url = 'https://rebind.example.com/';
  await resolveDestination(parseDestination(url, nowhere), rebinding, nowhere);
  expect(await outcome(url, rebinding)).toBe('destination_not_allowed');
  expect(opened).toEqual([]);

  const inside = await startReceiver();
  const outside = await startReceiver(withStatus(307, { location: `${inside.url}/secret` }));
  const allow = new AllowList([`127.0.0.0/8:${outside.port}`]);
  expect(await outcome(outside.url, async () => [], allow)).toBe(307);
  expect([opened.length, outside.received.length, inside.received.length]).toEqual([1, 1, 0]);
  row.load = `${DENIED_ADDRESSES.length} addresses, as literal, as name and among others; rebinding; redirect`;
  row.note = `${DENIED_ADDRESSES.length} refused and ${ALLOWED_ADDRESSES.length} allowed, no connection; the redirect was not followed`;
});
