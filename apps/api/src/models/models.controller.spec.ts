import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ModelCardSchema } from '../openapi/answers.js';
import { fakeEncoder } from '../testing/fake-encoder.js';
import { startTestApi, type TestApi } from '../testing/start.js';
import { Catalog } from './catalog.js';

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
    ['embed', 'topic'].map((id) => ({ id, object: 'model', created: 1_767_225_600, owned_by: 'shoal' })),
  );
});

test('a model’s card has its task, its limits and a request that runs', async () => {
  const card = ModelCardSchema.parse(await client.models.retrieve('topic'));
  const joining = { rows: 'any-length', reason: null };
  expect(card).toMatchObject({ task: 'text-classification', limits: { max_tokens: 8 }, joining });
  expect(card.example.curl).toContain(`${api.url}/v1/jobs`);
  expect((await api.request('POST', '/v1/jobs', card.example.request)).status).toBe(202);
});

test('an unknown model is the client’s NotFoundError', async () => {
  await expect(client.models.retrieve('none')).rejects.toThrow(OpenAI.NotFoundError);
});

test('new jobs run on the newest version; an older one can still be shown', () => {
  const encoders = ['10', '9'].map((version) => fakeEncoder('embed', 'feature-extraction', version));
  const catalog = new Catalog(encoders);
  expect(catalog.get('embed').model.version).toBe('10');
  expect(catalog.find('embed', '9')?.model.version).toBe('9');
  expect(catalog.find('embed', '8')).toBeUndefined();
  expect(catalog.list()).toHaveLength(1);
});
