import { afterEach, describe, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../testing/start.js';
import { digestOf } from './tenant.js';

const ORIGIN = 'https://app.example.com';
const KEYS = [{ tenant: { name: 'acme', weight: 1 }, digest: digestOf('acme-key') }];
const PREFLIGHT = {
  origin: ORIGIN,
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'authorization,content-type,idempotency-key',
};

let api: TestApi;
afterEach(() => api.close());

describe('pages of an origin that is named', () => {
  test('may ask, without a key, what they may send', async () => {
    api = await startTestApi({ keys: KEYS, corsOrigins: [ORIGIN, 'http://localhost:3000'] });
    const response = await api.request('OPTIONS', '/v1/jobs', undefined, PREFLIGHT);
    expect(response.status).toBe(204);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'access-control-allow-origin': ORIGIN,
      'access-control-allow-methods': 'GET, HEAD, POST, PATCH, DELETE',
      'access-control-allow-headers': 'authorization,content-type,idempotency-key',
      'access-control-max-age': '7200',
    });
    expect(response.headers.get('access-control-allow-credentials')).toBeNull();
  });

  test('can read answers and refusals, with the headers that callers need', async () => {
    api = await startTestApi({ keys: KEYS, corsOrigins: [ORIGIN] });
    for (const [authorization, status] of [
      ['Bearer acme-key', 202],
      ['Bearer other', 401],
    ] as const) {
      const job = { model: 'embed', input: 'small fish' };
      const response = await api.request('POST', '/v1/jobs', job, { origin: ORIGIN, authorization });
      expect(response.status).toBe(status);
      expect(response.headers.get('access-control-allow-origin')).toBe(ORIGIN);
      expect(response.headers.get('access-control-expose-headers')).toContain('Retry-After');
      expect(response.headers.get('vary')).toContain('Origin');
    }
  });

  test('read a 413, and the events of a job', async () => {
    api = await startTestApi({ corsOrigins: ['*'], maxBodyBytes: 1000 });
    const refused = await api.request('POST', '/v1/jobs', ' '.repeat(2000), { origin: ORIGIN });
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([413, '*']);
    const job = { model: 'embed', input: 'small fish' };
    const { id } = (await (await api.request('POST', '/v1/jobs', job)).json()) as { id: string };
    const events = await api.request('GET', `/v1/jobs/${id}/events`, undefined, { origin: ORIGIN });
    expect(events.headers.get('access-control-allow-origin')).toBe('*');
    expect(await events.text()).toContain('event: job.completed');
  });
});

test('another origin, and every origin where none is named, is not let in', async () => {
  api = await startTestApi({ corsOrigins: [ORIGIN] });
  const other = await api.request('GET', '/v1/models', undefined, { origin: 'https://evil.example' });
  expect(other.headers.get('access-control-allow-origin')).not.toBe('https://evil.example');
  await api.close();
  api = await startTestApi();
  const none = await api.request('OPTIONS', '/v1/jobs', undefined, PREFLIGHT);
  expect([none.status, none.headers.get('access-control-allow-origin')]).toEqual([405, null]);
});

test('a path that is not there stays 404, a wrong method 405', async () => {
  api = await startTestApi({ corsOrigins: [ORIGIN] });
  expect((await api.request('GET', '/v2/jobs')).status).toBe(404);
  expect((await api.request('PUT', '/v1/jobs')).status).toBe(405);
});
