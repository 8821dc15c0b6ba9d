/**
 * docker-compose.yml as it is, with the images under test: its core services end to end, in the order in which the tests stand.
 * Redis and HAProxy come from SHOAL_TEST_REDIS_IMAGE and SHOAL_TEST_PROXY_IMAGE where set.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { JobView } from '@shoal/contracts';
import { freePort } from '@shoal/tools/ports';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { Compose, docker, execNode, inspect } from './docker.js';

const MODEL = 'wordnet-topic';
const KEY = 'key-of-this-test';
/** Where the receiver of webhooks listens; every private network, since the engine chooses one. */
const RECEIVER_PORT = 9000;
const ALLOWED = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'].map((network) => `${network}:${RECEIVER_PORT}`);

let compose: Compose;
let url: string;
const headers = { 'content-type': 'application/json', authorization: `Bearer ${KEY}` };

beforeAll(async () => {
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  compose = new Compose(`shoal-${inject('tag')}`, {
    SHOAL_VERSION: inject('tag'),
    SHOAL_PORT: String(port),
    SHOAL_API_KEYS: `tester:${KEY}`,
    SHOAL_WEBHOOK_ALLOW: ALLOWED.join(','),
    SHOAL_REDIS_IMAGE: process.env.SHOAL_TEST_REDIS_IMAGE,
    SHOAL_PROXY_IMAGE: process.env.SHOAL_TEST_PROXY_IMAGE,
  });
  await compose.run('up', '--detach');
  await untilHealthy('proxy');
}, 600_000);

afterAll(() => compose.run('down', '--volumes', '--remove-orphans'), 180_000);

/** When all containers of the service pass their health check. */
async function untilHealthy(service: string): Promise<void> {
  for (const id of await compose.containers(service)) {
    const since = String(Math.floor(Date.now() / 1000));
    const args = ['events', '--since', since, '--filter', `container=${id}`, '--filter', 'event=health_status'];
    const events = spawn('docker', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const changes = createInterface({ input: events.stdout })[Symbol.asyncIterator]();
    while ((await inspect(id, '{{.State.Health.Status}}')) !== 'healthy') await changes.next();
    events.kill();
  }
}

/** An answer of the API; it is asked again while it cannot take calls (503), which says that nothing was done. */
async function call<T>(path: string, body?: unknown): Promise<T> {
  const init = body === undefined ? { headers } : { headers, method: 'POST', body: JSON.stringify(body) };
  for (;;) {
    const response = await fetch(`${url}${path}`, init);
    const answer: unknown = await response.json().catch(() => null);
    if (response.ok) return answer as T;
    expect(response.status, `${path}: ${JSON.stringify(answer)}`).toBe(503);
  }
}

const submit = (input: unknown, more: object = {}) => call<JobView>('/v1/jobs', { model: MODEL, input, ...more });

/** The job when it has ended. */
async function end(id: string): Promise<JobView> {
  for (;;) {
    const job = await call<JobView>(`/v1/jobs/${id}?wait=30`);
    if (job.ended_at !== null) return job;
  }
}

/** Arrays of many items: some seconds of work for the workers. */
async function submitLoad(): Promise<string[]> {
  const items = (job: number) => Array.from({ length: 500 }, (_, n) => `a fish with number ${job} ${n} in a river`);
  const jobs = await Promise.all(Array.from({ length: 20 }, (_, job) => submit(items(job))));
  return jobs.map(({ id }) => id);
}

/** Fails where any of the jobs lacks any of its results. */
async function expectAllResults(ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const { status, items } = await end(id);
    expect({ status, items }).toEqual({ status: 'completed', items: { total: 500, done: 500, failed: 0 } });
  }
}

/** When at least one item of one of the jobs has its result: the workers are at it. */
async function untilRunning(ids: readonly string[]): Promise<void> {
  for (;;) {
    const jobs = await Promise.all(ids.map((id) => call<JobView>(`/v1/jobs/${id}`)));
    if (jobs.some(({ status }) => status === 'running')) return;
  }
}

test('a job that is sent to the published port gets its result', async () => {
  const job = await call<JobView>('/v1/jobs?wait=30', {
    model: MODEL,
    input: 'a small knob',
    parameters: { top_k: 1 },
  });
  expect(job).toMatchObject({ status: 'completed', output: [{ label: 'person' }] });
});

test('without a key nothing is answered', async () => {
  expect((await fetch(`${url}/v1/models`)).status).toBe(401);
});

test('the proxy spreads calls over both replicas of the API', async () => {
  const replicas = await compose.containers('api');
  expect(replicas).toHaveLength(2);
  await Promise.all(replicas.map(() => untilHealthy('api')));
  for (let n = 0; n < 20; n++) await call('/v1/models');
  for (const id of replicas) {
    const text = await execNode(id, "console.log(await (await fetch('http://127.0.0.1:9464/metrics')).text())");
    const count = /^shoal_http_request_duration_seconds_count\{[^}]*route="\/v1\/models"[^}]*\} (\d+)$/m.exec(text);
    expect(Number(count?.[1])).toBeGreaterThan(0);
  }
});

test.each(['api', 'worker', 'webhooks'])('%s runs without rights on a read-only file system', async (service) => {
  await untilHealthy(service);
  const [id = ''] = await compose.containers(service);
  const found = await execNode(
    id,
    `import { readFileSync, writeFileSync } from 'node:fs';
     const attempt = (path) => { try { writeFileSync(path, ''); return 'written'; } catch (error) { return error.code; } };
     const status = readFileSync('/proc/1/status', 'utf8');
     const field = (name) => status.match(new RegExp('^' + name + ':\\\\s+(\\\\S+)', 'm'))[1];
     console.log(JSON.stringify({ user: [process.getuid(), process.getgid()], capabilities: field('CapBnd'),
       noNewPrivileges: field('NoNewPrivs'), root: attempt('/probe'), app: attempt('/app/probe'), tmp: attempt('/tmp/probe') }));`,
  );
  expect(JSON.parse(found)).toEqual({
    user: [10001, 10001],
    capabilities: '0000000000000000',
    noNewPrivileges: '1',
    root: 'EROFS',
    app: 'EROFS',
    tmp: 'written',
  });
});

test('Redis wants a password, appends to a file, evicts nothing and is not published', async () => {
  const [id = ''] = await compose.containers('redis');
  expect(await docker('exec', id, 'redis-cli', 'ping')).toContain('NOAUTH');
  const login = 'REDISCLI_AUTH=$(cat /run/shoal/redis-password) redis-cli --user shoal';
  const info = await docker('exec', id, 'sh', '-c', `${login} info`);
  expect(info).toMatch(/^aof_enabled:1/m);
  expect(info).toMatch(/^maxmemory_policy:noeviction/m);
  expect(await docker('exec', id, 'sh', '-c', `${login} flushall`)).toContain('NOPERM');
  expect(await docker('port', id)).toBe('');
});

test('the webhooks process tells a receiver that a job has ended', async () => {
  const network = `${compose.project}_outside`;
  const name = `${compose.project}-receiver`;
  const script = `require('node:http').createServer((request, response) => {
    let body = ''; request.on('data', (part) => body += part).on('end', () => {
      console.log(JSON.stringify({ id: JSON.parse(body).data.id, signed: request.headers['webhook-signature'] }));
      response.end();
    });
  }).listen(${RECEIVER_PORT}, () => console.log('listening'))`;
  await docker(
    'run',
    '--detach',
    '--name',
    name,
    '--network',
    network,
    `shoal-api:${inject('tag')}`,
    'node',
    '-e',
    script,
  );
  onTestFinished(async () => void (await docker('rm', '--force', '--volumes', name)));
  const log = spawn('docker', ['logs', '--follow', name], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: log.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('listening');
  const address = await inspect(name, `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`);
  const { id } = await submit('a river', {
    webhook: { url: `http://${address}:${RECEIVER_PORT}/`, events: ['job.completed'] },
  });
  expect(JSON.parse((await lines.next()).value)).toEqual({ id, signed: expect.stringMatching(/^v1,/) });
  log.kill();
});

test('a worker killed under load: every result comes all the same', async () => {
  const [victim = ''] = await compose.containers('worker');
  const ids = await submitLoad();
  await untilRunning(ids);
  await docker('kill', '--signal', 'KILL', victim);
  await expectAllResults(ids);
  await docker('start', victim);
  await untilHealthy('worker');
});

test('Redis killed and started again: what was accepted is still there', async () => {
  const { id } = await submit('a small fish');
  await end(id);
  const [redis = ''] = await compose.containers('redis');
  // AOF is flushed each second; a crash of the process alone loses nothing.
  await docker('kill', '--signal', 'KILL', redis);
  await docker('start', redis);
  await untilHealthy('redis');
  await untilHealthy('api');
  await untilHealthy('proxy');
  expect(await end(id)).toMatchObject({ status: 'completed' });
});

test('SIGTERM under load: each process finishes what it holds and ends with 0, and nothing is lost', async () => {
  const ids = await submitLoad();
  await untilRunning(ids);
  for (const service of ['worker', 'api', 'webhooks']) {
    const [id = ''] = await compose.containers(service);
    await docker('stop', '--time', '60', id);
    expect([service, await inspect(id, '{{.State.ExitCode}}')]).toEqual([service, '0']);
  }
  await expectAllResults(ids);
});
