import { ShoalError } from '@shoal/contracts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BulkAnswerSchema } from '../openapi/answers.js';
import { startTestApi, type TestApi } from '../testing/start.js';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api.close());

const JOB = { model: 'embed', input: 'small fish' };

async function submit(jobs: unknown[], headers: Record<string, string> = {}) {
  const response = await api.request('POST', '/v1/jobs/bulk', { jobs }, headers);
  expect(response.status).toBe(200);
  return BulkAnswerSchema.parse(await response.json());
}

describe('POST /v1/jobs/bulk', () => {
  test('accepts and refuses each job by itself, in order', async () => {
    const answer = await submit([JOB, { ...JOB, model: 'none' }, 7, { ...JOB, extra: 1 }, { ...JOB, input: 'shoal' }]);
    expect(answer).toMatchObject({
      accepted: 2,
      refused: 3,
      data: [
        { index: 0, status: 202, job: { status: 'queued' } },
        { index: 1, status: 404, error: { code: 'model_not_found' } },
        { index: 2, status: 422, error: { code: 'invalid_request', errors: [{ path: 'body' }] } },
        { index: 3, status: 422, error: { code: 'invalid_request', errors: [{ path: 'extra' }] } },
        { index: 4, status: 202, job: { links: { self: expect.stringMatching(/^\/v1\/jobs\//) } } },
      ],
    });
    expect(api.store.submitted.map((job) => job.tokens)).toEqual([[2], [1]]);
  });

  test('takes 1,000 jobs and no more', async () => {
    expect((await submit(Array(1000).fill(JOB))).accepted).toBe(1000);
    for (const jobs of [Array(1001).fill(JOB), []]) {
      const response = await api.request('POST', '/v1/jobs/bulk', { jobs });
      expect([response.status, (await response.json()) as unknown]).toMatchObject([
        422,
        { errors: [{ path: 'jobs' }] },
      ]);
    }
    expect(api.store.submitted).toHaveLength(1000);
  });

  test('repeated with its Idempotency-Key makes no job twice and the missing ones once', async () => {
    const key = { 'idempotency-key': 'import-1' };
    const first = await submit([JOB, { ...JOB, model: 'none' }], key);
    const again = await submit([JOB, { ...JOB, input: 'shoal' }, { ...JOB, input: 'more' }], key);
    expect(again.data[0]).toMatchObject({
      job: { status: 'completed', id: 'job' in first.data[0]! ? first.data[0].job.id : '' },
    });
    expect(again.accepted).toBe(3);
    expect(api.store.submitted).toHaveLength(3);
    const conflict = await submit(
      [
        { ...JOB, input: 'other' },
        { ...JOB, input: 'shoal' },
      ],
      key,
    );
    expect(conflict.data).toMatchObject([{ status: 422, error: { code: 'idempotency_conflict' } }, { status: 202 }]);
  });

  test('tells of a job that is gone in its own place', async () => {
    const key = { 'idempotency-key': 'import-2' };
    const jobs = [JOB, { ...JOB, input: 'shoal' }];
    const [first] = (await submit(jobs, key)).data;
    const get = api.store.get.bind(api.store);
    api.store.get = async (tenant, id) => {
      if (first && 'job' in first && id === first.job.id) throw new ShoalError('job_not_found', 'gone');
      return get(tenant, id);
    };
    const again = await submit(jobs, key);
    expect(again).toMatchObject({ accepted: 1, refused: 1, data: [{ status: 404 }, { status: 202 }] });
  });

  test('answers 503 as a whole where Redis is away', async () => {
    api.store.submit = async (jobs) => jobs.map(() => new ShoalError('redis_unavailable', 'away'));
    const response = await api.request('POST', '/v1/jobs/bulk', { jobs: [JOB, JOB] });
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
  });

  test('logs what failed inside and tells the caller the id only', async () => {
    api.store.submit = async () => [new Error('canary')];
    const answer = await submit([JOB]);
    expect(answer.data).toMatchObject([{ status: 500, error: { code: 'internal_error' } }]);
    expect(JSON.stringify(answer)).not.toContain('canary');
    expect(api.logged.join()).toContain('canary');
  });
});
