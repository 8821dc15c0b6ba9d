import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { EndpointView } from '@shoal/contracts';
import { expect, onTestFinished } from 'vitest';
import { type Api, openFleet } from '../support/fleet.js';
import { type Running, startWebhooks } from '../support/processes.js';
import { type Receiver, startReceiver } from '../support/receiver.js';
import { scenario, sized } from './scenario.js';

const HOG = 'hog-key-of-a-tenant-that-takes-all';
const HONEST = 'honest-key-of-a-tenant-as-others-are';
const SILENT_HOSTS = 160;
/** Jobs whose webhook goes to one host: as many attempts as a receiver may have at once. */
const PER_HOST = 8;
const LARGE = 24;
const LARGE_BYTES = 7_000_000;
const HONEST_JOBS = sized(400, 100);
/** Longest time in ms that /healthz may take, whatever else the process does. */
const HELD_MS = 250;
/** In ms: about one micro-batch, by which another's delivery may be later than twice what it takes alone. */
const BATCH_MS = 100;
/** What k8s/base/webhooks.yaml gives the process. */
const MEMORY_MIB = 512;

/** On every loopback address: an answer for each connection that has sent something. */
async function startRaw(answer: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    sockets.add(socket.once('close', () => sockets.delete(socket)));
    socket.once('data', () => answer(socket));
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (server.address() as AddressInfo).port, open: () => sockets.size };
}

/** Submits jobs of the tenant that takes all, with a webhook each; the ids. */
async function submitHogs(api: Api, urls: readonly string[], model: string): Promise<string[]> {
  const jobs = urls.map((url) => ({ model, input: 'a large fish', webhook: { url, events: ['job.completed'] } }));
  const ids: string[] = [];
  for (let n = 0; n < jobs.length; n += 100) {
    const response = await api.post('/v1/jobs/bulk', { jobs: jobs.slice(n, n + 100) }, HOG);
    expect(response.status).toBe(200);
    const { data } = (await response.json()) as { data: { job: { id: string } }[] };
    ids.push(...data.map(({ job }) => job.id));
  }
  return ids;
}

/** Ms from the end of a job to its message, of jobs that end one after another; sorted. */
async function honestDelays(api: Api, receiver: Receiver, arrivals: Map<string, number>): Promise<number[]> {
  const before = receiver.received.length;
  for (let n = 0; n < HONEST_JOBS; n++) {
    await api.submit('a feeling of great joy', HONEST);
    await pause(25);
  }
  await receiver.until(before + HONEST_JOBS);
  return receiver.received
    .slice(before)
    .map(({ id, event }) => arrivals.get(id)! - Date.parse(event.timestamp))
    .sort((a, b) => a - b);
}

const p99 = (sorted: readonly number[]) => sorted[Math.ceil(0.99 * sorted.length) - 1] ?? Number.NaN;

/** CPU seconds and the most resident memory in MiB so far. */
function usageOf(pid: number) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { seconds: (Number(fields[11]) + Number(fields[12])) / 100, mib: Number(peak) / 1024 };
}

/** The longest answer of `/healthz` in ms, until it is stopped. */
function watchHealth(webhooks: Running) {
  const url = webhooks.metricsUrl.replace('/metrics', '/healthz');
  let longest = 0;
  let stopped = false;
  const watching = (async () => {
    while (!stopped) {
      const from = performance.now();
      expect((await fetch(url)).status).toBe(200);
      longest = Math.max(longest, performance.now() - from);
      await pause(50);
    }
  })();
  return async () => {
    stopped = true;
    await watching;
    return longest;
  };
}

scenario('webhooks of a tenant whose receivers hang, switch protocols and whose results are large', async (row) => {
  const silent = await startRaw(() => undefined);
  const switching = await startRaw((socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n');
  });
  const large = await startReceiver();
  const arrivals = new Map<string, number>();
  const honest = await startReceiver(({ id }, response) => {
    arrivals.set(id, Date.now());
    response.end();
  });
  const ports = [silent.port, switching.port, large.port, honest.port];
  const env = {
    SHOAL_SECRET_KEY: randomBytes(32).toString('base64'),
    SHOAL_WEBHOOK_ALLOW: ports.map((port) => `127.0.0.0/8:${port}`).join(),
  };
  const fleet = await openFleet({ model: 'wordnet-topic', env, apiKeys: `hog:${HOG},honest:${HONEST}` });
  const api = await fleet.startApi();
  await fleet.startWorker();
  const startDelivering = async () => {
    const webhooks = await startWebhooks({ redisUrl: fleet.redisUrl, env });
    onTestFinished(async () => void (await webhooks.stop()));
    return webhooks;
  };
  const created = await api.post(
    '/v1/webhook-endpoints',
    { url: honest.url, events: ['job.completed'] satisfies EndpointView['events'] },
    HONEST,
  );
  expect(created.status).toBe(201);

  const quiet = await startDelivering();
  await honestDelays(api, honest, arrivals);
  const healthAlone = watchHealth(quiet);
  const alone = await honestDelays(api, honest, arrivals);
  const longestAlone = await healthAlone();
  expect(await quiet.stop()).toBe('exit code 0');

  // No process delivers while results are made large.
  const ended = await submitHogs(api, new Array(LARGE).fill(large.url), fleet.model);
  for (const id of ended) {
    await api.end(id, HOG);
    await fleet.redis.hset(`${fleet.tag}:job:${id.split('.').at(-1)}`, 'out0', Buffer.alloc(LARGE_BYTES, 1));
  }
  const hosts = Array.from({ length: SILENT_HOSTS }, (_, n) => `127.0.1.${n + 1}`);
  const urls = (port: number) => hosts.map((host) => `http://${host}:${port}/`);
  const hogs = [...urls(switching.port), ...new Array(PER_HOST).fill(urls(silent.port)).flat()];
  await submitHogs(api, hogs, fleet.model);
  const webhooks = await startDelivering();
  const health = watchHealth(webhooks);
  await expect.poll(silent.open, { timeout: 60_000 }).toBeGreaterThan(100);
  // What a start finds is relayed as fast as the processor goes; then comes what is held behind receivers.
  await expect.poll(() => fleet.redis.xlen(`${fleet.tag}:outbox`), { timeout: 120_000 }).toBe(0);
  const beside = await honestDelays(api, honest, arrivals);
  await large.until(LARGE);
  const longest = await health();
  const { seconds, mib } = usageOf(webhooks.pid);
  const stopping = performance.now();
  webhooks.kill('SIGTERM');
  expect(await webhooks.exited).toBe('exit code 0');

  row.jobs = 2 * HONEST_JOBS + ended.length + hogs.length;
  row.recovery = (performance.now() - stopping) / 1000;
  row.load = `${SILENT_HOSTS} silent hosts and as many that answer 101, ${PER_HOST} messages each; ${LARGE} results of 7 MB`;
  row.note =
    `another's delivery p50/p99: alone ${alone[alone.length >> 1]}/${p99(alone)} ms, ` +
    `beside ${beside[beside.length >> 1]}/${p99(beside)} ms; at most ${mib.toFixed()} MiB, ` +
    `${seconds.toFixed(1)} CPU s; /healthz at most ${longestAlone.toFixed()} and ${longest.toFixed()} ms; recovery is the stop`;
  expect(large.received.every(({ event }) => event.data.thin)).toBe(true);
  // Behind the others' receivers it would be 15 s and more.
  expect(p99(beside)).toBeLessThan(2 * p99(alone) + BATCH_MS);
  expect(mib).toBeLessThan(MEMORY_MIB / 2);
  expect(longest).toBeLessThan(HELD_MS);
});
