/** The API process without any worker: what it accepts waits, and nothing that is sent to it brings it down. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import type { JobView } from '@shoal/contracts';
import { startRedis } from '@shoal/tools/redis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startApi, startApp } from '../support/processes.js';

const JOB = { model: 'wordnet-topic', input: 'a large fish that lives in the sea' };
const JSON_TYPE = { 'content-type': 'application/json' };

const dir = mkdtempSync(join(tmpdir(), 'shoal-e2e-'));
let redis: Awaited<ReturnType<typeof startRedis>>;
let api: Awaited<ReturnType<typeof startApi>>;

beforeAll(async () => {
  redis = await startRedis({ dir });
  api = await startApi({ redisUrl: redis.url, env: { SHOAL_EMBEDDINGS_TIMEOUT: '500ms' } });
});

afterAll(async () => {
  await api.stop();
  await redis.stop();
  rmSync(dir, { recursive: true });
});

const send = (method: string, path: string, body: string | Buffer | null = null, headers = {}) =>
  fetch(`${api.url}${path}`, { method, body, headers: { ...(body !== null && JSON_TYPE), ...headers } });

const submit = async (changes: object = {}, query = '') => {
  const response = await send('POST', `/v1/jobs${query}`, JSON.stringify({ ...JOB, ...changes }));
  return { status: response.status, job: (await response.json()) as JobView };
};

const codeOf = async (response: Response) => ((await response.json()) as { code: string }).code;

describe('a job that no worker takes', () => {
  test('is still queued when the wait is over', async () => {
    const { status, job } = await submit({}, '?wait=1');
    expect([status, job.status]).toEqual([202, 'queued']);
    expect(await (await send('GET', `${job.links.self}?wait=1`)).json()).toMatchObject({
      status: 'queued',
      output: null,
    });
  });

  test('can be cancelled, which ends every wait for it', async () => {
    const { job } = await submit();
    const waiting = send('GET', `${job.links.self}?wait=60`);
    const cancelled = await send('POST', job.links.cancel);
    expect(await cancelled.json()).toMatchObject({ status: 'cancelled', error: { code: 'cancelled' } });
    expect(await (await waiting).json()).toMatchObject({ status: 'cancelled' });
  });

  test('expires at its deadline', async () => {
    const { job } = await submit({ deadline: 0.5 });
    const response = await send('GET', `${job.links.self}?wait=60`);
    expect(await response.json()).toMatchObject({ status: 'expired', error: { code: 'expired' }, output: null });
  });

  test('of an embeddings call is answered 504 and does not stay queued', async () => {
    const body = JSON.stringify({ model: 'wordnet-embed', input: 'a fish' });
    const response = await send('POST', '/v1/embeddings', body);
    expect([response.status, await response.json()]).toMatchObject([504, { error: { code: 'wait_timeout' } }]);
    const queued = await send('GET', '/v1/jobs?model=wordnet-embed&status=queued');
    expect(await queued.json()).toMatchObject({ data: [] });
  });

  test('of an embeddings call is cancelled when the caller hangs up', async () => {
    const hangUp = AbortSignal.timeout(50);
    const body = JSON.stringify({ model: 'wordnet-embed', input: 'a fish that nobody waits for' });
    const call = fetch(`${api.url}/v1/embeddings`, { method: 'POST', body, headers: JSON_TYPE, signal: hangUp });
    await expect(call).rejects.toThrow();
    const queued = async () => {
      const list = await send('GET', '/v1/jobs?model=wordnet-embed&status=queued');
      return ((await list.json()) as { data: unknown[] }).data;
    };
    await expect.poll(queued).toEqual([]);
  });
});

describe('limits', () => {
  test.each([
    ['a body over 2 MB', JSON.stringify({ ...JOB, input: 'a'.repeat(2 ** 21) }), {}, 413, 'body_too_large'],
    ['more than 100 levels', '['.repeat(101), {}, 400, 'body_too_deep'],
    ['brotli', brotliCompressSync(JSON.stringify(JOB)), { 'content-encoding': 'br' }, 415, 'unsupported_media_type'],
    ['another content type', 'model=x', { 'content-type': 'text/plain' }, 415, 'unsupported_media_type'],
  ])('%s', async (_, body, headers, status, code) => {
    const response = await send('POST', '/v1/jobs', body, headers);
    expect([response.status, await codeOf(response)]).toEqual([status, code]);
  });
});

test('no request, however odd, brings the API down or is answered 5xx', async () => {
  const { job } = await submit();
  const paths = ['/v1/jobs', '/v1/jobs/bulk', '/v1/embeddings', '/v1/models', '/v1/models/wordnet-topic', '/healthz'];
  paths.push(
    job.links.self,
    job.links.cancel,
    '/v1/jobs/%00',
    '/v1/jobs/{shoal:x}',
    '/v1/%zz',
    '/docs',
    '//',
    '/readyz',
  );
  const bodies = ['', 'null', '[]', '{', '{"__proto__":1}', '"\\ud800"', '{"model":"wordnet-topic","input":[[[]]]}'];
  bodies.push('{"jobs":[null,{},{"model":"wordnet-topic","input":{"tokens":[4294967296]}}]}');
  bodies.push('{"model":"wordnet-embed","input":[4294967296]}', '{"model":"wordnet-topic","input":"\\u0000"}');
  const failed: string[] = [];
  for (const path of paths) {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
      for (const body of method === 'GET' || method === 'HEAD' ? [null] : bodies) {
        const response = await send(method, path, body);
        await response.arrayBuffer();
        // Without a worker a valid embeddings call times out.
        if (response.status >= 500 && response.status !== 504)
          failed.push(`${response.status} ${method} ${path} ${body}`);
      }
    }
  }
  expect(failed).toEqual([]);
  expect((await send('GET', '/healthz')).status).toBe(200);
});

test('without Redis a request is answered 503 within 2 s, and served again when Redis is back', async () => {
  const own = mkdtempSync(join(tmpdir(), 'shoal-e2e-'));
  const first = await startRedis({ dir: own });
  const alone = await startApi({ redisUrl: first.url });
  try {
    const { id } = (await (await post(alone.url, JOB)).json()) as JobView;
    await first.stop();
    for (const path of [`/v1/jobs/${id}`, `/v1/jobs/${id}?wait=10`, '/v1/jobs', '/readyz']) {
      const response = await fetch(`${alone.url}${path}`, { signal: AbortSignal.timeout(2000) });
      expect(response.status, path).toBe(503);
    }
    const refused = await post(alone.url, JOB, AbortSignal.timeout(2000));
    expect([refused.status, refused.headers.get('retry-after'), await codeOf(refused)]).toEqual([
      503,
      '1',
      'redis_unavailable',
    ]);
    const second = await startRedis({ dir: own, port: Number(new URL(first.url).port) });
    await expect.poll(async () => (await post(alone.url, JOB)).status).toBe(202);
    await second.stop();
  } finally {
    await alone.stop();
    rmSync(own, { recursive: true });
  }
});

describe('a misspelt variable', () => {
  test('is told at the start, with what may have been meant', async () => {
    const running = await startApi({ redisUrl: redis.url, env: { SHOAL_RESULTS_TTL: '1h' } });
    onTestFinished(async () => void (await running.stop()));
    expect(running.output()).toMatch(/"config\.unknown".*SHOAL_RESULTS_TTL.*did you mean SHOAL_RESULT_TTL\?/);
  });

  test.each(['api', 'worker', 'webhooks'])('that looks like a secret keeps the %s from starting', async (app) => {
    const start = startApp(`apps/${app}/dist/main.js`, `${app}.ready`, {
      redisUrl: redis.url,
      env: { SHOAL_API_KEY: 'acme:canary' },
    });
    await expect(start).rejects.toThrow(
      /exit code 1.*\n(.*\n)*SHOAL_API_KEY: is not .* did you mean SHOAL_API_KEYS or SHOAL_KEY\?/,
    );
    await expect(start).rejects.not.toThrow(/canary/);
  });
});

test('the line that tells that the API is ready has brackets around an IPv6 address', async () => {
  const env = { SHOAL_HOST: '::1', SHOAL_METRICS_HOST: '::1' };
  const running = await startApi({ redisUrl: redis.url, env });
  onTestFinished(async () => void (await running.stop()));
  expect(new URL(String(running.ready.address)).hostname).toBe('[::1]');
  expect((await fetch(running.metricsUrl)).status).toBe(200);
});

function post(url: string, body: unknown, signal: AbortSignal | null = null): Promise<Response> {
  return fetch(`${url}/v1/jobs`, { method: 'POST', body: JSON.stringify(body), headers: JSON_TYPE, signal });
}
