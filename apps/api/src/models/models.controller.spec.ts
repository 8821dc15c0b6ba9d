import { Catalog } from '@shoal/intake';
import { fakeFace } from '@shoal/intake/testing';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { digestOf } from '../http/tenant.js';
import { ModelCardSchema } from '../openapi/openai-answers.js';
import { servedAlone, startTestApi, type TestApi } from '../testing/start.js';

let api: TestApi;
let client: OpenAI;
beforeAll(async () => {
  api = await startTestApi();
  client = new OpenAI({ baseURL: `${api.url}/v1`, apiKey: 'key', maxRetries: 0 });
});
afterAll(() => api.close());

test('the openai client lists the models', async () => {
  const models: OpenAI.Model[] = [];
  for await (const model of client.models.list()) models.push(model);
  expect(models).toEqual(
    [
      ['embed', 'feature-extraction'],
      ['topic', 'text-classification'],
    ].map(([id, task]) => ({ id, object: 'model', created: 1_767_225_600, owned_by: 'shoal', task })),
  );
});

test('a model’s card has its task, its limits and a request that runs', async () => {
  const card = ModelCardSchema.parse(await client.models.retrieve('topic'));
  const joining = { rows: 'any-length', reason: null };
  expect(card).toMatchObject({ task: 'text-classification', limits: { max_tokens: 8 }, joining });
  expect(card.example.curl).toContain(`${api.url}/v1/jobs`);
  expect((await api.request('POST', '/v1/jobs', card.example.request)).status).toBe(202);
});

test('a name of models.json is listed with its shares, and its card and that of a version have requests for just that', async () => {
  const shares = [1, 3].map((weight, n) => ({ target: `embed@${n + 1}`, weight }));
  const faces = ['1', '2'].map((version) => fakeFace('embed', 'feature-extraction', version));
  const own = await startTestApi({ faces, aliases: new Map([['prod', shares]]) });
  onTestFinished(() => own.close());
  const read = async (path: string) => (await (await own.request('GET', path)).json()) as { readonly data: unknown[] };
  const standIns = shares.map(({ target, weight }) => ({ model: target, weight }));
  expect((await read('/v1/models')).data).toContainEqual(expect.objectContaining({ id: 'prod', stands_for: standIns }));
  const card = ModelCardSchema.parse(await read('/v1/models/prod'));
  expect(card).toMatchObject({ id: 'prod', stands_for: standIns, example: { request: { model: 'prod' } } });
  expect(card.served.map(({ id }) => id)).toEqual(['embed@1:default', 'embed@2:default']);
  const exact = ModelCardSchema.parse(await read('/v1/models/embed@1'));
  expect(exact).toMatchObject({ id: 'embed@1', version: '1', example: { request: { model: 'embed@1' } } });
  expect(exact).not.toHaveProperty('stands_for');
});

test.each(['/v1/models?task=x', '/v1/models/embed?task=x'])('%s is refused: there is no such filter', async (path) => {
  const response = await api.request('GET', path);
  expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('task: unknown field')]);
});

test('an unknown model is the client’s NotFoundError', async () => {
  await expect(client.models.retrieve('none')).rejects.toThrow(OpenAI.NotFoundError);
});

test.each([
  ['Embed', /Did you mean embed\?/],
  ['embd', /Did you mean embed\?/],
  ['acme/topics', /Did you mean topic\?/],
  ['gpt-4o', /^404 No model of this name is served\. GET/],
  ['x'.repeat(400), /^404 No model of this name is served\. GET/],
])('%s is not found, with the names that are near', async (name, message) => {
  for (const path of [name, encodeURIComponent(name)]) {
    const error = await client.get(`/models/${path}`).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.NotFoundError);
    expect(error).toMatchObject({ code: 'model_not_found', param: 'model', message: expect.stringMatching(message) });
  }
});

describe('the command line of a card', () => {
  const curlOf = async (options: Parameters<typeof startTestApi>[0], headers: Record<string, string> = {}) => {
    const own = await startTestApi(options);
    onTestFinished(() => own.close());
    const response = await own.request('GET', '/v1/models/embed', undefined, headers);
    return ModelCardSchema.parse(await response.json()).example.curl.replaceAll(own.url, '<own>');
  };
  const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shoal.example' };

  test('has the key’s header where keys are needed', async () => {
    const keys = [{ tenant: { name: 'acme', weight: 1 }, digest: digestOf('acme-key') }];
    expect(await curlOf({ keys }, { authorization: 'Bearer acme-key' })).toContain('-H key');
    expect(await curlOf({})).not.toContain('-H key');
  });

  test('goes where a proxy that is trusted was asked, else where this server was', async () => {
    expect(await curlOf({ trustedProxies: ['loopback'] }, forwarded)).toContain("'https://shoal.example/v1/jobs");
    expect(await curlOf({}, forwarded)).toContain("'<own>/v1/jobs");
    expect(await curlOf({ trustedProxies: ['10.0.0.0/8'] }, forwarded)).toContain("'<own>/v1/jobs");
  });

  test('goes to the public address where one is configured', async () => {
    expect(await curlOf({ publicUrl: 'https://shoal.example/ai' })).toContain("'https://shoal.example/ai/v1/jobs");
  });
});

test('a folder that jobs cannot ask for says why', () => {
  const catalog = new Catalog({
    versions: [servedAlone(fakeFace('embed', 'feature-extraction'))],
    unserved: new Map([['lm', 'It generates text.']]),
  });
  expect(() => catalog.choose('lm', 0)).toThrow('It generates text.');
  expect(() => catalog.choose('lm2', 0)).toThrow('No model of this name');
});

describe('loading and unloading', () => {
  const keys = ['acme', 'ops'].map((name) => ({ tenant: { name, weight: 1 }, digest: digestOf(`${name}-key`) }));

  async function open(admins: readonly string[] | undefined) {
    const wishes: string[][] = [];
    const admin = { admins, wish: async (...wish: string[]) => void wishes.push(wish) };
    const own = await startTestApi({ admin, ...(admins && { keys }) });
    onTestFinished(() => own.close());
    const post = async (path: string, key = 'ops') => {
      const response = await own.request('POST', path, undefined, { authorization: `Bearer ${key}-key` });
      const body = (await response.json()) as { error?: { code: string }; served?: unknown };
      return [response.status, body.error?.code ?? body.served];
    };
    return { wishes, post };
  }

  test('leaves the wish for all workers, and is answered with how the model stands', async () => {
    const { wishes, post } = await open(undefined);
    const served = [{ id: 'embed@1:default', state: 'on_demand', workers: 0 }];
    expect(await post('/v1/models/embed/unload')).toEqual([202, served]);
    expect(await post('/v1/models/embed@1:default/load')).toEqual([202, served]);
    expect(wishes).toEqual([
      ['embed', 'unload'],
      ['embed@1:default', 'load'],
    ]);
  });

  test('is for tenants that are named, where keys are needed', async () => {
    const { wishes, post } = await open(['ops']);
    expect(await post('/v1/models/embed/unload', 'acme')).toEqual([403, 'not_permitted']);
    expect(await post('/v1/models/embed/unload', 'other')).toEqual([401, 'unauthorized']);
    expect(wishes).toEqual([]);
    expect((await post('/v1/models/embed/unload'))[0]).toBe(202);
  });

  test('is refused for what there is not', async () => {
    const { wishes, post } = await open(undefined);
    for (const name of ['none', 'embed@2', 'embed:int8']) {
      expect(await post(`/v1/models/${name}/load`), name).toEqual([404, 'model_not_found']);
    }
    expect(wishes).toEqual([]);
  });
});
