import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ProblemSchema } from '../openapi/answers.js';
import { startTestApi, type TestApi } from '../testing/start.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.close());

const clientAt = (base: string) => new OpenAI({ baseURL: `${api.url}${base}`, apiKey: 'key', maxRetries: 0 });

describe('an OpenAI client that asks for what is not there is told so, and what there is', () => {
  const client = () => clientAt('/v1');
  test.each<[string, () => PromiseLike<unknown>, string]>([
    ['responses', () => client().responses.create({ model: 'm', input: 'a' }), 'POST /v1/chat/completions'],
    ['a list of chats', () => client().get('/chat'), 'POST /v1/chat/completions'],
    ['a batch', () => client().batches.retrieve('b'), 'POST /v1/jobs/bulk'],
    ['moderations', () => client().moderations.create({ input: 'a' }), 'nothing at this path'],
    ['a path that begins as another', () => client().get('/modelsx'), 'nothing at this path'],
    ['any other path', () => client().post('/nonsense', { body: {} }), 'POST /v1/embeddings'],
  ])('%s', async (_, call, message) => {
    const error = await Promise.resolve(call()).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.NotFoundError);
    expect(error).toMatchObject({ code: 'not_found', message: expect.stringContaining(message) });
  });

  test.each(['', '/v1/v1'])('a base URL that ends with %j', async (base) => {
    const { embeddings, models } = clientAt(base);
    for (const call of [() => embeddings.create({ model: 'embed', input: 'a' }), () => models.list()]) {
      const error = await Promise.resolve(call()).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(OpenAI.NotFoundError);
      expect(error).toMatchObject({ message: expect.stringContaining('ends with /v1, once') });
    }
  });

  test('a method that a path does not have', async () => {
    for (const path of ['/embeddings', '/chat/completions']) {
      const error = await Promise.resolve(clientAt('/v1').get(path)).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ status: 405, code: 'method_not_allowed' });
    }
  });
});

test('Shoal’s own paths, and those outside /v1, tell problem details', async () => {
  for (const path of ['/v1/jobs/x', '/v1/jobs/x/y', '/v1/webhook-endpoints/x/y', '/v1/webhook-secret/x', '/v2', '/x']) {
    const response = await api.request('GET', path);
    expect(ProblemSchema.parse(await response.json()).status, path).toBe(404);
  }
});
