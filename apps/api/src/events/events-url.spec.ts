import { afterEach, beforeEach, expect, test } from 'vitest';
import { digestOf } from '../http/tenant.js';
import { EventsUrlSchema } from '../openapi/answers.js';
import { startTestApi, type TestApi } from '../testing/start.js';

const KEYS = ['acme', 'zeta'].map((name) => ({ tenant: { name, weight: 1 }, digest: digestOf(`${name}-key`) }));
const as = (tenant: string) => ({ authorization: `Bearer ${tenant}-key` });

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi({ keys: KEYS });
});
afterEach(() => api.close());

async function submit(tenant: string): Promise<string> {
  const job = { model: 'embed', input: ['small fish', 'large shoal'] };
  const response = await api.request('POST', '/v1/jobs', job, as(tenant));
  return ((await response.json()) as { id: string }).id;
}

async function signed(tenant: string, id: string, body?: unknown) {
  const response = await api.request('POST', `/v1/jobs/${id}/events/url`, body, as(tenant));
  expect(response.status).toBe(200);
  return EventsUrlSchema.parse(await response.json());
}

test('a signed address opens the events of its job without a key, and nothing else', async () => {
  const id = await submit('acme');
  const { url } = await signed('acme', id);
  const events = await api.request('GET', url);
  expect([events.status, events.headers.get('content-type')]).toEqual([
    200,
    expect.stringMatching(/^text\/event-stream/),
  ]);
  expect(await events.text()).toContain('event: job.completed');
  const token = url.split('?')[1];
  const other = await submit('acme');
  for (const path of [`/v1/jobs/${other}/events`, `/v1/jobs/${id}`, '/v1/jobs', `/v1/jobs/${id}/events/url`]) {
    expect((await api.request('GET', `${path}?${token}`)).status, path).toBeOneOf([401, 405]);
  }
  expect((await api.request('POST', `/v1/jobs/${id}/cancel?${token}`)).status).toBe(401);
});

test('a reader that was cut off goes on with the same address', async () => {
  const { url } = await signed('acme', await submit('acme'));
  const rest = await (await api.request('GET', url, undefined, { 'last-event-id': '1' })).text();
  expect(rest).not.toContain('id: queued');
  expect(rest).toContain('id: 2');
});

test('another tenant’s job is not there, whoever signs', async () => {
  const { url } = await signed('zeta', await submit('acme'));
  expect((await api.request('GET', url)).status).toBe(404);
});

test('an id that is none gets no address', async () => {
  for (const id of ['x', `${await submit('acme')}0`, '%00']) {
    const response = await api.request('POST', `/v1/jobs/${id}/events/url`, undefined, as('acme'));
    expect(response.status, id).toBe(404);
    expect(await response.json(), id).toMatchObject({ code: 'job_not_found' });
  }
});

test('an address lasts as long as asked for, within limits', async () => {
  const id = await submit('acme');
  const { expires_at } = await signed('acme', id, { expires_in: 3600 });
  expect(Date.parse(expires_at) - Date.now()).toBeGreaterThan(3500_000);
  for (const expires_in of [0, 3601, 'long']) {
    const response = await api.request('POST', `/v1/jobs/${id}/events/url`, { expires_in }, as('acme'));
    expect(response.status).toBe(422);
  }
  expect((await api.request('POST', `/v1/jobs/${id}/events/url`)).status).toBe(401);
});

test('tokens are not logged', async () => {
  await api.close();
  api = await startTestApi({ keys: KEYS, logLevel: 'debug' });
  const { url } = await signed('acme', await submit('acme'));
  await (await api.request('GET', url)).text();
  await expect.poll(() => api.logged.join()).toContain('/v1/jobs/:id/events');
  expect(api.logged.join()).not.toContain(url.split('=')[1]);
});
