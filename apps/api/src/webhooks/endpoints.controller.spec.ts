import type { AttemptView, EndpointView } from '@shoal/contracts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestOf } from '../http/tenant.js';
import {
  AttemptListSchema,
  EndpointListSchema,
  EndpointSchema,
  NewEndpointSchema,
  ReplayAnswerSchema,
  SecretSchema,
  TestAnswerSchema,
} from '../openapi/webhook-answers.js';
import { startTestApi, type TestApi } from '../testing/start.js';

const PATH = '/v1/webhook-endpoints';
const URL = 'https://hooks.example.com/in';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api.close());

const problem = async (response: Response) =>
  (await response.json()) as { code: string; detail: string; errors: { path: string; message: string }[] };

async function create(body: object = {}) {
  const response = await api.request('POST', PATH, { url: URL, ...body });
  expect(response.status).toBe(201);
  return NewEndpointSchema.parse(await response.json());
}

describe('an endpoint', () => {
  test('is made with the events that end a job and a secret that is shown once and kept sealed', async () => {
    const made = await create();
    expect(made).toMatchObject({ url: URL, disabled: false, description: '' });
    expect(made.events).toEqual(['job.completed', 'job.failed', 'job.cancelled', 'job.expired']);
    expect(made.secret).toMatch(/^whsec_.{44}$/);
    const shown = await (await api.request('GET', `${PATH}/${made.id}`)).text();
    expect(EndpointSchema.parse(JSON.parse(shown)).id).toBe(made.id);
    expect(shown).not.toContain('whsec_');
    expect(JSON.stringify([...api.webhooks.all.values()])).not.toContain(made.secret.slice(6));
    expect(api.logged.join()).not.toContain('whsec_');
  });

  test('may bring its own secret', async () => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    expect((await create({ secret })).secret).toBe(secret);
  });

  test('is listed, changed, disabled, enabled and deleted', async () => {
    const { id } = await create();
    const change = async (body: object): Promise<EndpointView> =>
      EndpointSchema.parse(await (await api.request('PATCH', `${PATH}/${id}`, body)).json());
    expect(await change({ events: ['job.output', 'job.started'], description: 'x' })).toMatchObject({
      events: ['job.started', 'job.output'],
      description: 'x',
      url: URL,
    });
    expect(await change({ disabled: true })).toMatchObject({ disabled: true, disabled_reason: 'by_request' });
    expect(await change({ disabled: false })).toMatchObject({ disabled: false, disabled_reason: null });
    const { data } = EndpointListSchema.parse(await (await api.request('GET', PATH)).json());
    expect(data.map((endpoint) => endpoint.id)).toEqual([id]);
    expect((await api.request('DELETE', `${PATH}/${id}`)).status).toBe(204);
    expect((await problem(await api.request('GET', `${PATH}/${id}`))).code).toBe('endpoint_not_found');
  });

  test('that is not there has no name looked up for it', async () => {
    const response = await api.request('PATCH', `${PATH}/ep_none`, { url: 'https://internal.example.com/' });
    expect([response.status, await problem(response)]).toMatchObject([404, { code: 'endpoint_not_found' }]);
  });

  test.each(['cursor=zzz', 'limit=-1'])('is read without the query %s', async (query) => {
    const { id } = await create();
    for (const path of [PATH, `${PATH}/${id}`]) {
      const response = await api.request('GET', `${path}?${query}`);
      const [field] = query.split('=');
      expect([response.status, await problem(response)]).toMatchObject([422, { errors: [{ path: field }] }]);
    }
  });

  test('gets a new secret, and the one before signs on', async () => {
    const { id, secret } = await create();
    const response = await api.request('POST', `${PATH}/${id}/rotate-secret`);
    const rotated = SecretSchema.parse(await response.json());
    expect(rotated.secret).not.toBe(secret);
    const [until = ''] = rotated.overlapping_until;
    expect((Date.parse(until) - Date.now()) / 3_600_000).toBeCloseTo(24, 1);
    const tooLong = await api.request('POST', `${PATH}/${id}/rotate-secret`, { overlap: 8 * 24 * 3600 });
    expect((await problem(tooLong)).errors[0]?.path).toBe('overlap');
  });
});

test.each([
  ['http://example.com/', 'must start with https'],
  ['https://localhost/', 'public host'],
  ['https://10.1.2.3/', 'SHOAL_WEBHOOK_ALLOW=10.1.2.3/32:443'],
  ['https://internal.example.com/', 'public addresses only'],
  ['https://unknown.example.com/', 'public addresses only'],
])('%s is refused, and the answer tells no address', async (url, rule) => {
  const { id } = await create();
  const answers = await Promise.all([
    api.request('POST', PATH, { url }),
    api.request('PATCH', `${PATH}/${id}`, { url }),
    api.request('POST', '/v1/jobs', { model: 'embed', input: 'a', webhook: { url } }),
  ]);
  for (const [n, answer] of answers.entries()) {
    expect(answer.status).toBe(422);
    const { code, detail, errors } = await problem(answer);
    expect(code).toBe('destination_not_allowed');
    expect(detail).toContain(rule);
    expect(detail).not.toMatch(/10\.0/);
    expect(errors[0]?.path).toBe(n === 2 ? 'webhook.url' : 'url');
  }
  expect(api.store.submitted).toEqual([]);
});

test('what an operator allows, and a name whose DNS is down, is taken: every attempt looks again', async () => {
  await create({ url: 'http://127.0.0.1:9000/' });
  await create({ url: 'https://down.example.com/' });
});

describe('attempts', () => {
  test('are shown in pages', async () => {
    const { id } = await create();
    api.webhooks.logged = [1, 2].map((attempt) => ({
      id: `${attempt}-0`,
      message: 'msg_1',
      event: 'job.completed',
      job: 'embed.1.default.0.x',
      attempt,
      at: Date.UTC(2026, 0, 5),
      durationMs: 12,
      delivered: attempt === 2,
      status: attempt === 2 ? 200 : null,
      error: attempt === 2 ? null : 'timeout',
      reason: attempt === 2 ? null : 'no connection came about in time',
      response: '',
      nextAt: attempt === 2 ? null : Date.UTC(2026, 0, 6),
    }));
    const response = await api.request('GET', `${PATH}/${id}/attempts?limit=1`);
    const page = AttemptListSchema.parse(await response.json());
    expect(page).toMatchObject({ has_more: true, next_cursor: '7-0' });
    expect(page.data[0] satisfies AttemptView | undefined).toMatchObject({ error: 'timeout', delivered: false });
  });

  test.each(['limit=0', 'limit=x', 'cursor=x', 'page=2', 'message='])('refuse %s', async (query) => {
    const { id } = await create();
    const { code, errors } = await problem(await api.request('GET', `${PATH}/${id}/attempts?${query}`));
    expect([code, errors[0]?.path]).toEqual(['invalid_request', query.split('=')[0]]);
  });
});

test('a replay is of one message or of all that failed since a time', async () => {
  const { id } = await create();
  const replay = (body: object) => api.request('POST', `${PATH}/${id}/replay`, body);
  for (const body of [{ message: 'msg_1' }, { since: '2026-01-05T09:30:00Z' }]) {
    const response = await replay(body);
    expect(response.status).toBe(202);
    expect(ReplayAnswerSchema.parse(await response.json())).toMatchObject(body);
  }
  expect(api.webhooks.tasks).toEqual([
    ['replay', id, 'msg_1'],
    ['recover', id, Date.UTC(2026, 0, 5, 9, 30)],
  ]);
  for (const body of [{}, { message: 'msg_1', since: '2026-01-05T09:30:00Z' }, { since: 'yesterday' }]) {
    expect((await problem(await replay(body))).code).toBe('invalid_request');
  }
  expect((await problem(await replay({ message: 'msg_none' }))).code).toBe('message_not_found');
});

test('a test event has an id before it is sent', async () => {
  const { id } = await create();
  const response = await api.request('POST', `${PATH}/${id}/test`);
  expect(response.status).toBe(202);
  const sent = TestAnswerSchema.parse(await response.json());
  expect(api.webhooks.tasks).toEqual([['test', id, sent.id]]);
});

test('the tenant’s own secret is made once and can be replaced', async () => {
  const get = async () => SecretSchema.parse(await (await api.request('GET', '/v1/webhook-secret')).json());
  const { secret } = await get();
  expect((await get()).secret).toBe(secret);
  const rotated = await api.request('POST', '/v1/webhook-secret/rotate', { overlap: 0 });
  expect(SecretSchema.parse(await rotated.json()).secret).not.toBe(secret);
});

test('another tenant’s endpoint is not there', async () => {
  const keys = ['acme', 'other'].map((name) => ({ tenant: { name, weight: 1 }, digest: digestOf(name) }));
  const two = await startTestApi({ keys });
  const as = (key: string) => ({ authorization: `Bearer ${key}` });
  const made = await two.request('POST', PATH, { url: URL }, as('acme'));
  const { id } = (await made.json()) as EndpointView;
  const calls: [method: string, path: string, body?: object][] = [
    ['GET', ''],
    ['PATCH', '', { description: 'x' }],
    ['DELETE', ''],
    ['POST', '/rotate-secret'],
    ['GET', '/attempts'],
    ['POST', '/replay', { message: 'msg_1' }],
    ['POST', '/test'],
  ];
  for (const [method, path, body] of calls) {
    const response = await two.request(method, `${PATH}/${id}${path}`, body, as('other'));
    expect([method, path, response.status]).toEqual([method, path, 404]);
  }
  expect((await two.request('GET', `${PATH}/${id}`, undefined, as('acme'))).status).toBe(200);
  await two.close();
});

describe('the webhook of a job', () => {
  test('is kept with its secret sealed, and shown without it', async () => {
    const webhook = { url: URL, events: ['job.completed'], secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' };
    const response = await api.request('POST', '/v1/jobs?wait=1', { model: 'embed', input: 'a', webhook });
    expect(await response.json()).toHaveProperty('webhook', { url: URL, events: ['job.completed'] });
    const [job] = api.store.submitted;
    expect(job?.meta.webhook?.secret).toMatch(/^v1\./);
    expect(job?.webhookEvents).toEqual({ started: false, output: false, ended: true });
  });

  test('has the tenant’s secret where it brings none', async () => {
    await api.request('POST', '/v1/jobs', { model: 'embed', input: 'a', webhook: { url: URL } });
    expect(api.store.submitted[0]?.meta.webhook).not.toHaveProperty('secret');
    expect(api.webhooks.secrets.size).toBe(1);
  });

  test('is told beside what endpoints want; without either nothing is', async () => {
    await api.request('POST', '/v1/jobs', { model: 'embed', input: 'a' });
    await create({ events: ['job.output'] });
    await api.request('POST', '/v1/jobs', { model: 'embed', input: 'a' });
    const webhook = { url: URL, events: ['job.started'] };
    await api.request('POST', '/v1/jobs', { model: 'embed', input: 'a', webhook });
    expect(api.store.submitted.map(({ webhookEvents }) => webhookEvents)).toEqual([
      { started: false, output: false, ended: false },
      { started: false, output: true, ended: false },
      { started: true, output: true, ended: false },
    ]);
  });
});

test('without a key everything that needs webhooks says so, and everything else works', async () => {
  const without = await startTestApi({ secretKey: false });
  for (const [method, path, body] of [
    ['POST', PATH, { url: URL }],
    ['GET', PATH],
    ['GET', '/v1/webhook-secret'],
    ['POST', '/v1/jobs', { model: 'embed', input: 'a', webhook: { url: URL } }],
  ] as const) {
    const response = await without.request(method, path, body);
    expect([path, response.status]).toEqual([path, 501]);
    const { code, detail } = await problem(response);
    expect(code).toBe('webhooks_unavailable');
    expect(detail).toContain('SHOAL_SECRET_KEY');
  }
  expect((await without.request('POST', '/v1/jobs', { model: 'embed', input: 'a' })).status).toBe(202);
  await without.close();
});
