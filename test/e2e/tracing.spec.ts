/** Traces as their users meet them: API, worker and webhooks as processes, a receiver of OTLP on loopback. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JobView } from '@shoal/contracts';
import { freePort } from '@shoal/tools/ports';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../support/otlp-receiver.js';
import { startOwnRedis } from '../support/own-redis.js';
import { type Running, startApi, startWebhooks, startWorker } from '../support/processes.js';
import { startReceiver } from '../support/receiver.js';

const MODEL = 'wordnet-topic';
const CANARY = 'canaryzebra';

interface Service {
  readonly redisUrl: string;
  readonly processes: readonly Running[];
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
}

async function openService(env: Record<string, string>, hook?: { readonly port: number }): Promise<Service> {
  const redisUrl = await startOwnRedis();
  const shared = { OTEL_BSP_SCHEDULE_DELAY: '50', SHOAL_SECRET_KEY: randomBytes(32).toString('base64'), ...env };
  const allow = hook ? { SHOAL_WEBHOOK_ALLOW: `127.0.0.0/8:${hook.port}` } : {};
  const api = await startApi({ redisUrl, env: { ...shared, ...allow } });
  const worker = await startWorker({ redisUrl, env: { ...shared, SHOAL_MODELS: MODEL } });
  const processes: Running[] = [api, worker];
  if (hook) processes.push(await startWebhooks({ redisUrl, env: { ...shared, ...allow } }));
  onTestFinished(async () => {
    await Promise.all(processes.map((process) => process.stop()));
  });
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(`${api.url}/v1${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  return { redisUrl, processes, post };
}

/** The traceparent that a caller sends, with its ids. */
function caller(flags = '01') {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  return { traceId, spanId, headers: { traceparent: `00-${traceId}-${spanId}-${flags}` } };
}

/** The spans of one trace, once those of these names have come: each process sends its own. */
async function traceOf(otlp: OtlpReceiver, traceId: string, ...names: readonly string[]) {
  for (const name of names) await otlp.find((span) => span.traceId === traceId && span.name === name);
  const spans = otlp.spans.filter((span) => span.traceId === traceId);
  return { spans, named: (name: string) => spans.find((span) => span.name === name)! };
}

const ms = ({ start, end }: ReceivedSpan) => Number(end - start) / 1e6;

test('one trace leads from the caller through the queue to the forward pass, and on to the webhook', async () => {
  const otlp = await startOtlpReceiver();
  const receiver = await startReceiver();
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url, SHOAL_LOG_LEVEL: 'debug' };
  const { post, processes } = await openService(env, receiver);
  const { traceId, spanId, headers } = caller();
  const body = { model: MODEL, input: `a small ${CANARY}`, parameters: { top_k: 2 }, webhook: { url: receiver.url } };
  const answer = await post('/jobs?wait=30', body, headers);
  const job = (await answer.json()) as JobView;
  expect(job.status).toBe('completed');

  const ends = ['POST /v1/jobs', `process ${MODEL}`, 'deliver job.completed'];
  const { spans, named } = await traceOf(otlp, traceId, ...ends);
  const server = named('POST /v1/jobs');
  expect(server).toMatchObject({ service: 'shoal-api', kind: 2, parentId: spanId });
  expect(server.attributes).toMatchObject({
    'http.request.method': 'POST',
    'http.route': '/v1/jobs',
    'http.response.status_code': 200,
    'shoal.job.id': job.id,
    'shoal.request.id': answer.headers.get('x-request-id'),
  });
  const send = named(`send ${MODEL}`);
  expect(send).toMatchObject({ service: 'shoal-api', kind: 4, parentId: server.spanId });
  expect(send.attributes).toMatchObject({
    'messaging.destination.name': `${MODEL}.1.fp32.0`,
    'shoal.job.id': job.id,
    'shoal.items': 1,
    'shoal.tokens': job.usage.input_tokens,
  });
  const work = named(`process ${MODEL}`);
  expect(work).toMatchObject({ service: 'shoal-worker', kind: 5, parentId: send.spanId, links: [] });
  expect(work.attributes).toMatchObject({ 'shoal.job.id': job.id, 'shoal.model': MODEL, 'shoal.attempts': 1 });
  const execute = named(`execute ${MODEL}`);
  expect(execute).toMatchObject({ parentId: work.spanId, links: [{ traceId, spanId: work.spanId }] });
  expect(execute.attributes).toMatchObject({
    'shoal.version': '1',
    'shoal.variant': 'fp32',
    'shoal.batch.size': 1,
    'shoal.batch.jobs': 1,
    'shoal.batch.tokens': job.usage.input_tokens,
    'shoal.batch.padded_ratio': 0,
    'shoal.batch.closed_by': 'idle',
  });
  const stages = ['queue', 'batch', 'run', 'publish'].map(named);
  for (const stage of stages) expect(stage).toMatchObject({ service: 'shoal-worker', parentId: work.spanId });
  expect(named('run').links).toEqual([{ traceId, spanId: execute.spanId }]);
  // The stages follow each other without a gap, and last as long as the job's own timings say.
  expect(stages.map(({ start }) => start)).toEqual(
    [work, ...stages.slice(0, -1)].map((span, n) => (n === 0 ? span.start : span.end)),
  );
  expect(stages.at(-1)!.end).toBe(work.end);
  expect(ms(named('run'))).toBeCloseTo(job.timings!.running_ms, 1);
  expect(ms(named('queue'))).toBeCloseTo(job.timings!.queued_ms, 1);
  const delivery = named('deliver job.completed');
  expect(delivery).toMatchObject({ service: 'shoal-webhooks', kind: 3, parentId: send.spanId, status: 0 });
  expect(delivery.attributes).toMatchObject({ 'shoal.job.id': job.id, 'http.response.status_code': 200 });
  expect(new Set(spans.map((span) => span.spanId)).size).toBe(spans.length);

  const line = processes[0]!
    .output()
    .split('\n')
    .find((text) => text.includes('"event":"request.done"'));
  expect(JSON.parse(line!)).toMatchObject({ job: job.id, trace: traceId });

  expect(otlp.raw()).toContain(job.id);
  for (const secret of [CANARY, receiver.url, String(JSON.stringify(job.output)).slice(0, 30), 'top_k']) {
    expect(otlp.raw()).not.toContain(secret);
  }
});

test('a micro-batch is one execution, linked to each of its jobs; each job’s run is linked to it', async () => {
  const otlp = await startOtlpReceiver();
  const { post } = await openService({ OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url });
  const { traceId, headers } = caller();
  const jobs = Array.from({ length: 40 }, (_, n) => ({ model: MODEL, input: `the knob number ${n}` }));
  await post('/jobs/bulk', { jobs }, headers);
  await expect.poll(() => otlp.spans.filter((span) => span.name === `process ${MODEL}`).length).toBe(40);
  const { spans } = await traceOf(otlp, traceId, 'POST /v1/jobs/bulk');
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const executions = spans.filter((span) => span.name === `execute ${MODEL}`);
  expect(executions.length).toBeLessThan(40);
  expect(executions.reduce((sum, { attributes }) => sum + Number(attributes['shoal.batch.size']), 0)).toBe(40);
  for (const execution of executions) {
    expect(execution.links).toHaveLength(Number(execution.attributes['shoal.batch.jobs']));
    expect(execution.links.every((link) => ids.has(link.spanId))).toBe(true);
    expect(execution.links[0]!.spanId).toBe(execution.parentId);
  }
  const runs = spans.filter((span) => span.name === 'run');
  expect(runs).toHaveLength(40);
  for (const { links } of runs) expect(executions.map(({ spanId }) => spanId)).toContain(links[0]!.spanId);
});

test('a refused request is a span with its status, and no error of the server’s', async () => {
  const otlp = await startOtlpReceiver();
  const { post } = await openService({ OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url });
  await post('/jobs', { model: 'nobody', input: 'x' });
  const refused = await otlp.find((span) => span.name === 'POST /v1/jobs');
  expect(refused.attributes['http.response.status_code']).toBe(404);
  expect(refused).toMatchObject({ status: 0, parentId: '' });
});

test('the caller’s and the sampler’s word count: what is not sampled is not sent', async () => {
  const otlp = await startOtlpReceiver();
  const { post, processes } = await openService({
    OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url,
    OTEL_TRACES_SAMPLER: 'parentbased_always_off',
  });
  const [unsampled, sampled] = [caller('00'), caller('01')];
  const job = { model: MODEL, input: 'a small knob' };
  await post('/jobs?wait=30', job);
  await post('/jobs?wait=30', job, unsampled.headers);
  await post('/jobs?wait=30', job, sampled.headers);
  // Stopping sends what is left.
  await Promise.all(processes.map((process) => process.stop()));
  expect(new Set(otlp.spans.map(({ traceId }) => traceId))).toEqual(new Set([sampled.traceId]));
  expect(otlp.spans.map(({ name }) => name)).toContain(`execute ${MODEL}`);
});

test('a collector that is away, or takes connections and never answers, fails no job, says so once, and does not hold up the end', async () => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  onTestFinished(() => {
    silent.close();
    silent.closeAllConnections();
  });
  const hanging = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  for (const endpoint of [`http://127.0.0.1:${await freePort()}`, hanging]) {
    const { post, processes } = await openService({
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_EXPORTER_OTLP_TIMEOUT: '200',
    });
    for (let n = 0; n < 20; n++) {
      const job = (await (await post('/jobs?wait=30', { model: MODEL, input: 'a small knob' })).json()) as JobView;
      expect(job.status).toBe('completed');
    }
    for (const process of processes) await expect.poll(process.output).toContain('tracing.error');
    expect(await Promise.all(processes.map((process) => process.stop()))).toEqual(['exit code 0', 'exit code 0']);
    for (const process of processes) {
      expect(process.output().match(/tracing\.error/g)).toHaveLength(1);
      expect(process.output()).not.toContain('"level":"error"');
    }
  }
});

test('without an endpoint no module of OpenTelemetry is loaded, and no job carries a context', async () => {
  const loaded = { NODE_OPTIONS: `--import=${new URL('../support/print-loaded.mjs', import.meta.url).href}` };
  const { traceId, headers } = caller();
  const submit = async ({ post, processes, redisUrl }: Service) => {
    const { id } = (await (await post('/jobs?wait=30', { model: MODEL, input: 'x' }, headers)).json()) as JobView;
    const redis = new Redis(redisUrl);
    const { meta } = await redis.hgetallBuffer(`{shoal:${MODEL}.1.fp32.0}:job:${id.split('.').at(-1)}`);
    redis.disconnect();
    await Promise.all(processes.map((process) => process.stop()));
    const counts = processes.map((process) =>
      Number(/modules of OpenTelemetry’s SDK: (\d+)/.exec(process.output())?.[1]),
    );
    return { counts, meta: meta!.toString('latin1') };
  };
  const off = await submit(await openService(loaded));
  expect(off.counts).toEqual([0, 0]);
  expect(off.meta).not.toContain(traceId);
  // The same look finds both where tracing is on.
  const otlp = await startOtlpReceiver();
  const on = await submit(await openService({ ...loaded, OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url }));
  expect(Math.min(...on.counts)).toBeGreaterThan(10);
  expect(on.meta).toContain(traceId);
});
