import { ShoalError } from '@shoal/contracts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { JobReceiptSchema, JobSchema, ProblemSchema } from '../openapi/answers.js';
import { startTestApi, type TestApi } from '../testing/start.js';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api.close());

const JOB = { model: 'embed', input: 'small fish' };

async function submit(body: unknown = JOB, headers: Record<string, string> = {}) {
  const response = await api.request('POST', '/v1/jobs', body, headers);
  return JobReceiptSchema.parse(await response.json());
}

async function problem(response: Response) {
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  const body = ProblemSchema.parse(await response.json());
  expect(body.status).toBe(response.status);
  expect(body.instance).toBe(response.headers.get('x-request-id'));
  return body;
}

describe('POST /v1/jobs', () => {
  test('answers 202 with a receipt and where the job is', async () => {
    const response = await api.request('POST', '/v1/jobs', JOB);
    const receipt = JobReceiptSchema.parse(await response.json());
    expect(response.status).toBe(202);
    expect(receipt).toMatchObject({ status: 'queued', links: { self: response.headers.get('location') } });
    expect((await api.request('GET', receipt.links.self)).status).toBe(200);
    expect((await api.request('POST', receipt.links.cancel)).status).toBe(200);
  });

  test('hands on what was asked for', async () => {
    await submit({
      ...JOB,
      input: ['a bb', 'ccc'],
      priority: 'high',
      deadline: 30,
      metadata: { a: 'b' },
      parameters: {},
    });
    await submit({ ...JOB, deadline: '2030-01-01T01:00:00+01:00' });
    expect(api.store.submitted).toMatchObject([
      {
        queue: 'embed.1.default.0',
        tokens: [2, 1],
        meta: { priority: 'high', array: true, metadata: { a: 'b' }, parameters: { truncate: false } },
        deadline: { in: 30_000 },
      },
      { meta: { priority: 'normal', array: false }, deadline: { at: Date.UTC(2030, 0, 1) } },
    ]);
  });

  test.each([
    ['?wait=5', {}, null],
    ['', { prefer: 'respond-async, wait=5' }, 'wait'],
  ])('with %s %o answers 200 with the job that ended in time', async (query, headers, applied) => {
    const response = await api.request('POST', `/v1/jobs${query}`, JOB, headers as Record<string, string>);
    expect(response.status).toBe(200);
    expect(response.headers.get('preference-applied')).toBe(applied);
    expect(JobSchema.parse(await response.json())).toMatchObject({ status: 'completed', usage: { input_tokens: 2 } });
  });

  test('answers 202 where the job did not end in time', async () => {
    api.store.immediate = false;
    const response = await api.request('POST', '/v1/jobs?wait=1', JOB);
    expect(response.status).toBe(202);
    expect(JobReceiptSchema.parse(await response.json()).status).toBe('queued');
  });

  test('names every fault with its path, and submits nothing', async () => {
    const body = { model: 7, deadline: 'tomorrow', priority: 'urgent', metadata: { a: 1 }, extra: 1, other: 2 };
    const { code, errors } = await problem(await api.request('POST', '/v1/jobs', body));
    expect(code).toBe('invalid_request');
    const paths = errors.map((fault) => fault.path).sort();
    expect(paths).toEqual(['deadline', 'extra', 'input', 'metadata.a', 'model', 'other', 'priority']);
    expect(api.store.submitted).toEqual([]);
  });

  test.each([
    [{ ...JOB, model: 'none' }, 404, 'model_not_found', 'model'],
    [{ ...JOB, model: 'BAAI/bge-small-en-v1.5' }, 404, 'model_not_found', 'model'],
    [{ ...JOB, input: null }, 422, 'invalid_request', 'input'],
    [{ ...JOB, task: 'text-classification' }, 422, 'invalid_request', 'task'],
    [{ ...JOB, input: ['a', 7] }, 422, 'invalid_request', 'input[1]'],
    [{ ...JOB, parameters: { dimension: 2 } }, 422, 'invalid_request', 'parameters'],
    [{ ...JOB, input: 'a b c d e f g h i' }, 422, 'input_too_long', 'input'],
    [[], 422, 'invalid_request', 'body'],
    ['null', 422, 'invalid_request', 'body'],
  ])('refuses %j', async (body, status, code, path) => {
    const told = await problem(await api.request('POST', '/v1/jobs', body));
    expect(told).toMatchObject({ status, code });
    expect(told.errors[0]?.path).toContain(path);
  });

  test('takes null for "not given" wherever a field may be left out', async () => {
    const unset = { task: null, parameters: null, priority: null, deadline: null, metadata: null, retention: null };
    await submit({ ...JOB, ...unset, webhook: null });
    await submit({ ...JOB, parameters: { dimensions: null, truncate: null } });
    const [first, second] = api.store.submitted;
    expect(first?.meta).toMatchObject({ priority: 'normal', metadata: {} });
    expect(second?.meta.parameters).toEqual(first?.meta.parameters);
  });

  test('cuts an input that is too long where the caller asks for it', async () => {
    await submit({ ...JOB, input: 'a b c d e f g h i', parameters: { truncate: true } });
    expect(api.store.submitted[0]?.tokens).toEqual([8]);
  });

  test.each(['61', '-1', '1.5', 'x', '', '5&wait=6'])('refuses wait=%s', async (wait) => {
    const { code, errors } = await problem(await api.request('POST', `/v1/jobs?wait=${wait}`, JOB));
    expect([code, errors[0]?.path]).toEqual(['invalid_request', 'wait']);
    expect(api.store.submitted).toEqual([]);
  });

  test('refuses a preferred wait that is out of range and a query parameter that does not exist', async () => {
    expect((await problem(await api.request('POST', '/v1/jobs', JOB, { prefer: 'wait=61' }))).errors[0]?.path).toBe(
      'wait',
    );
    expect((await problem(await api.request('POST', '/v1/jobs?wiat=1', JOB))).errors[0]?.path).toBe('wiat');
  });

  test.each([
    ['queue_full', 429, '7'],
    ['tenant_backlog_full', 429, '7'],
    ['memory_full', 429, '7'],
    ['redis_unavailable', 503, '7'],
  ] as const)('answers %s with %i and Retry-After', async (code, status, seconds) => {
    api.store.failure = new ShoalError(code, 'later', { retryAfter: 6.5 });
    const response = await api.request('POST', '/v1/jobs', JOB);
    expect([response.status, response.headers.get('retry-after')]).toEqual([status, seconds]);
    expect(await problem(response)).toMatchObject({ code, retryable: true });
  });

  test('an unknown error is told by its request id only, which the log has with the cause', async () => {
    api.store.failure = new Error('canary');
    const told = await problem(await api.request('POST', '/v1/jobs', JOB));
    expect(told).toMatchObject({ status: 500, code: 'internal_error' });
    expect(JSON.stringify(told)).not.toContain('canary');
    expect(api.logged.join()).toContain(told.instance);
    expect(api.logged.join()).toContain('canary');
  });
});

describe('Idempotency-Key', () => {
  const key = { 'idempotency-key': 'order-7' };

  test('with the same body is the same job, whatever the order of its fields', async () => {
    api.store.immediate = false;
    const first = await submit(JOB, key);
    const again = await submit({ input: JOB.input, model: JOB.model }, key);
    expect(again).toEqual(first);
    expect(api.store.submitted).toHaveLength(1);
  });

  test('of a job that has ended answers 200 with it', async () => {
    await submit(JOB, key);
    const response = await api.request('POST', '/v1/jobs', JOB, key);
    expect(response.status).toBe(200);
    expect(JobSchema.parse(await response.json()).status).toBe('completed');
  });

  test('with another body is a conflict', async () => {
    await submit(JOB, key);
    const told = await problem(await api.request('POST', '/v1/jobs', { ...JOB, input: 'other' }, key));
    expect(told).toMatchObject({ status: 422, code: 'idempotency_conflict' });
  });

  test('must be printable', async () => {
    for (const value of ['', 'a b', 'x'.repeat(201)]) {
      const told = await problem(await api.request('POST', '/v1/jobs', JOB, { 'idempotency-key': value }));
      expect(told).toMatchObject({ status: 422, errors: [{ path: 'Idempotency-Key' }] });
    }
  });
});
