import { afterEach, describe, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../testing/start.js';
import { digestOf } from './tenant.js';

const KEYS = [
  { tenant: { name: 'acme', weight: 2 }, digest: digestOf('acme-key') },
  { tenant: { name: 'acme', weight: 2 }, digest: digestOf('acme-next-key') },
  { tenant: { name: 'zeta', weight: 1 }, digest: digestOf('zeta-key') },
];

let api: TestApi;
afterEach(() => api.close());

const as = (key: string) => ({ authorization: `Bearer ${key}` });
const JOB = { model: 'embed', input: 'small fish' };

describe('with API keys', () => {
  test('every route under /v1 asks for one, however its path is spelt', async () => {
    api = await startTestApi({ keys: KEYS });
    const routes = ['GET /v1/jobs', 'GET /%761/jobs', 'POST /v1/jobs', 'POST /v1/jobs/bulk', 'GET /v1/jobs/x'];
    routes.push('POST /v1/jobs/x/cancel', 'DELETE /v1/jobs/x', 'GET /v1/models', 'POST /v1/embeddings');
    for (const route of routes) {
      const [method = '', path = ''] = route.split(' ');
      for (const headers of [{}, as('wrong'), as(''), { authorization: 'acme-key' }] as Record<string, string>[]) {
        const response = await api.request(method, path, undefined, headers);
        expect(response.status, route).toBe(401);
        expect(response.headers.get('www-authenticate')).toBe('Bearer');
      }
    }
  });

  test('probes and documentation are open', async () => {
    api = await startTestApi({ keys: KEYS });
    for (const path of ['/healthz', '/readyz', '/openapi.json', '/docs']) {
      expect((await api.request('GET', path)).status, path).toBe(200);
    }
  });

  test('jobs belong to the key’s tenant, with its weight; each of its keys sees them', async () => {
    api = await startTestApi({ keys: KEYS });
    const { id } = (await (await api.request('POST', '/v1/jobs', JOB, as('acme-key'))).json()) as { id: string };
    expect(api.store.submitted[0]?.tenant).toEqual({ name: 'acme', weight: 2 });
    expect((await api.request('GET', `/v1/jobs/${id}`, undefined, as('acme-next-key'))).status).toBe(200);
  });

  test('another tenant’s job is not there', async () => {
    api = await startTestApi({ keys: KEYS });
    const { id } = (await (await api.request('POST', '/v1/jobs', JOB, as('acme-key'))).json()) as { id: string };
    const attempts = [
      ['GET', `/v1/jobs/${id}`],
      ['GET', `/v1/jobs/${id}?wait=1`],
      ['POST', `/v1/jobs/${id}/cancel`],
      ['DELETE', `/v1/jobs/${id}`],
    ] as const;
    for (const [method, path] of attempts) {
      const response = await api.request(method, path, undefined, as('zeta-key'));
      expect({ status: response.status, code: ((await response.json()) as { code: string }).code }).toEqual({
        status: 404,
        code: 'job_not_found',
      });
    }
    const list = await api.request('GET', '/v1/jobs', undefined, as('zeta-key'));
    expect(await list.json()).toMatchObject({ data: [] });
    expect(api.store.states()).toEqual(['completed']);
  });

  test('the same Idempotency-Key of two tenants is two jobs', async () => {
    api = await startTestApi({ keys: KEYS });
    for (const key of ['acme-key', 'zeta-key']) {
      await api.request('POST', '/v1/jobs', JOB, { ...as(key), 'idempotency-key': 'same' });
    }
    expect(api.store.submitted).toHaveLength(2);
  });

  test('any Host is served', async () => {
    api = await startTestApi({ keys: KEYS });
    expect(await statusFor('shoal.example')).toBe(200);
  });
});

describe('without API keys', () => {
  test('only this machine’s names are served', async () => {
    api = await startTestApi();
    for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1', '127.0.0.1:8080', '[::1]', '[::1]:8080']) {
      expect(await statusFor(host), host).toBe(200);
    }
    for (const host of ['shoal.example', 'localhost.evil.example', '127.0.0.1.evil.example', '192.168.0.1', '[::2]']) {
      expect(await statusFor(host), host).toBe(403);
    }
  });
});

/** fetch sets Host itself. */
async function statusFor(host: string): Promise<number> {
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    request(`${api.url}/healthz`, { headers: { host }, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}
