import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Readiness } from '../health/readiness.js';
import { HeldRequests } from '../http/held-requests.js';
import { JobListSchema, JobReceiptSchema, JobSchema, ProblemSchema } from '../openapi/answers.js';
import { startTestApi, type TestApi } from '../testing/start.js';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api.close());

const JOB = { model: 'embed', input: 'small fish' };

async function submit(body: unknown = JOB) {
  const response = await api.request('POST', '/v1/jobs', body);
  return JobReceiptSchema.parse(await response.json());
}

async function problem(response: Response) {
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  const body = ProblemSchema.parse(await response.json());
  expect(body.status).toBe(response.status);
  return body;
}

describe('GET /v1/jobs/{id}', () => {
  test('tells what happened', async () => {
    const { links } = await submit({ ...JOB, input: ['small fish', 'shoal'] });
    const response = await api.request('GET', links.self);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(JobSchema.parse(await response.json())).toMatchObject({
      status: 'completed',
      version: '1',
      output: [
        [9, 2, expect.closeTo(0.1)],
        [5, 1, expect.closeTo(0.1)],
      ],
      items: { total: 2, done: 2, failed: 0 },
      usage: { input_tokens: 3 },
      timings: { queued_ms: 1.5, batching_ms: 0.25, running_ms: 3.063 },
      batches: [{ size: 4, padded_share: 0.25, closed_by: 'idle', items: 2 }],
      attempts: 1,
    });
  });

  test('tells where a job that waits stands, and when it is expected to start', async () => {
    api.store.immediate = false;
    const first = await submit();
    const second = await submit();
    const queueOf = async ({ links }: typeof first) =>
      JobSchema.parse(await (await api.request('GET', links.self)).json()).queue;
    expect(await queueOf(first)).toEqual({ position: 1, expected_start_at: '2026-01-01T00:00:02.500Z' });
    expect(await queueOf(second)).toEqual({ position: 2, expected_start_at: null });
    api.store.finish(first.id);
    expect([await queueOf(first), (await queueOf(second))?.position]).toEqual([null, 1]);
  });

  test('with wait answers as soon as the job ends', async () => {
    api.store.immediate = false;
    const { id, links } = await submit();
    api.store.onWait = () => queueMicrotask(() => api.store.finish(id));
    const response = await api.request('GET', `${links.self}?wait=60`);
    expect(JobSchema.parse(await response.json()).status).toBe('completed');
  });

  test('ends its wait when the caller hangs up; the job goes on', async () => {
    api.store.immediate = false;
    const { links } = await submit();
    const hangUp = new AbortController();
    api.store.onWait = () => hangUp.abort();
    await expect(fetch(`${api.url}${links.self}?wait=60`, { signal: hangUp.signal })).rejects.toThrow('aborted');
    await expect.poll(() => waiting()).toBe(0);
    expect(api.store.states()).toEqual(['queued']);
  });

  test('answers open waits with the job as it stands when the server stops', async () => {
    api.store.immediate = false;
    const { links } = await submit();
    const started = new Promise<void>((resolve) => {
      api.store.onWait = resolve;
    });
    const answer = api.request('GET', `${links.self}?wait=60`);
    await started;
    api.app.get(Readiness).stop();
    api.app.get(HeldRequests).end();
    expect(JobSchema.parse(await (await answer).json()).status).toBe('queued');
    expect((await api.request('GET', '/readyz')).status).toBe(503);
  });

  test.each(['none', '%00', '..%2f..', 'x'.repeat(400), '{shoal:a}', 'embed.1.default.0.', '%F0%9F%90%9F'])(
    '%s is no job',
    async (id) => {
      for (const [method, path] of [
        ['GET', id],
        ['DELETE', id],
        ['POST', `${id}/cancel`],
      ]) {
        const told = await problem(await api.request(method ?? '', `/v1/jobs/${path}`));
        expect(told).toMatchObject({ status: 404, code: 'job_not_found' });
      }
    },
  );
});

describe('the end of a job by its caller', () => {
  test('cancel keeps the record', async () => {
    api.store.immediate = false;
    const { links } = await submit();
    const response = await api.request('POST', links.cancel);
    expect(JobSchema.parse(await response.json())).toMatchObject({ status: 'cancelled', error: { code: 'cancelled' } });
    expect((await api.request('GET', links.self)).status).toBe(200);
  });

  test('cancel leaves a job that has ended as it is', async () => {
    const { links } = await submit();
    expect(JobSchema.parse(await (await api.request('POST', links.cancel)).json()).status).toBe('completed');
  });

  test('delete erases it', async () => {
    const { links } = await submit();
    expect((await api.request('DELETE', links.self)).status).toBe(204);
    expect((await api.request('GET', links.self)).status).toBe(404);
    expect((await api.request('DELETE', links.self)).status).toBe(404);
  });
});

describe('GET /v1/jobs', () => {
  const list = async (query: string) =>
    JobListSchema.parse(await (await api.request('GET', `/v1/jobs${query}`)).json());

  test('pages through all jobs, newest first, without outputs', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) ids.unshift((await submit()).id);
    const first = await list('?limit=2');
    const second = await list(`?limit=2&cursor=${first.next_cursor}`);
    const third = await list(`?limit=2&cursor=${second.next_cursor}`);
    expect([...first.data, ...second.data, ...third.data].map((job) => job.id)).toEqual(ids);
    expect([first.has_more, second.has_more, third.has_more, third.next_cursor]).toEqual([true, true, false, null]);
  });

  test('filters by model and status', async () => {
    await submit();
    api.store.immediate = false;
    await submit({ ...JOB, model: 'topic' });
    expect((await list('?model=topic')).data.map((job) => job.model)).toEqual(['topic']);
    expect((await list('?status=completed')).data.map((job) => job.model)).toEqual(['embed']);
    expect((await list('?status=failed')).data).toEqual([]);
  });

  test.each([
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['limit=x', 'limit'],
    ['status=done', 'status'],
    ['model=NO', 'model'],
    ['cursor=', 'cursor'],
    ['page=2', 'page'],
  ])('refuses %s', async (query, path) => {
    const told = await problem(await api.request('GET', `/v1/jobs?${query}`));
    expect(told).toMatchObject({ status: 422, errors: [{ path }] });
  });
});

async function waiting(): Promise<number> {
  const [gauge] = (await api.registry.getSingleMetric('shoal_waiters')?.get())?.values ?? [];
  return gauge?.value ?? 0;
}
