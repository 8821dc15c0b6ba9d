import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ProblemSchema } from './openapi/answers.js';
import { startTestApi, type TestApi } from './testing/start.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.close());

const PATHS = [
  '/v1/jobs',
  '/v1/jobs?wait=0&limit=1',
  '/v1/jobs/bulk',
  '/v1/jobs/x',
  '/v1/jobs/x/cancel',
  '/v1/embeddings',
  '/v1/models',
  '/v1/models/embed',
  '/v1/rerank',
  '/rerank',
  '/v1/chat/completions',
  '/healthz',
  '/readyz',
  '/openapi.json',
  '/docs',
  '/v1/%zz',
  '/v1/jobs/%00',
  '//',
  '/__proto__',
];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'SEARCH'];
const BODIES = [
  undefined,
  '',
  'null',
  '[]',
  '{}',
  '"text"',
  '1e999',
  '{"model":"embed"}',
  '{"model":"embed","input":null}',
  '{"model":"embed","input":{}}',
  '{"model":{"toString":1},"input":[[[]]]}',
  '{"jobs":[null,{},[],{"model":"embed","input":[]}]}',
  '{"model":"embed","input":"\\ud800"}',
  '{"model":"constructor","input":"a"}',
];

test('no request, however odd, is answered 5xx', async () => {
  for (const path of PATHS) {
    for (const method of METHODS) {
      for (const body of method === 'GET' || method === 'HEAD' ? [undefined] : BODIES) {
        const response = await api.request(method, path, body);
        expect(response.status, `${method} ${path} ${body}`).toBeLessThan(500);
        await response.arrayBuffer();
      }
    }
  }
  expect(api.logged).toEqual([]);
});

describe('a path', () => {
  test('with the wrong method is 405 and names the right ones', async () => {
    for (const [method, path, allow] of [
      ['PUT', '/v1/jobs', 'GET, HEAD, POST'],
      ['POST', '/v1/jobs/x', 'DELETE, GET, HEAD'],
      ['GET', '/v1/jobs/x/cancel', 'POST'],
      ['OPTIONS', '/healthz', 'GET, HEAD'],
    ] as const) {
      const response = await api.request(method, path);
      expect([response.status, response.headers.get('allow')], path).toEqual([405, allow]);
    }
  });

  test('of nothing leads to the documentation', async () => {
    const response = await fetch(`${api.url}/`, { redirect: 'manual' });
    expect([response.status, response.headers.get('location')]).toEqual([302, '/docs']);
    expect((await api.request('GET', '/')).status).toBe(200);
  });

  test('that is not there is 404 as a problem', async () => {
    for (const path of ['/v2/jobs', '/v1/jobs/x/y', '/V1/jobs']) {
      const response = await api.request('GET', path);
      expect(ProblemSchema.parse(await response.json()), path).toMatchObject({ status: 404, code: 'not_found' });
    }
  });
});

describe('a request id', () => {
  test('is the caller’s, where it is a plain one', async () => {
    const response = await api.request('GET', '/healthz', undefined, { 'x-request-id': 'trace-1' });
    expect(response.headers.get('x-request-id')).toBe('trace-1');
  });

  test('is made where there is none or an odd one', async () => {
    for (const id of ['', 'a b', 'x'.repeat(129), '<script>']) {
      const response = await api.request('GET', '/healthz', undefined, { 'x-request-id': id });
      expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

test('a connection on which nothing was sent does not hold up the end of the server', async () => {
  const stopping = await startTestApi();
  const socket = connect(Number(new URL(stopping.url).port), '127.0.0.1');
  await once(socket, 'connect');
  const closed = once(socket, 'close');
  await stopping.close();
  await closed;
});
