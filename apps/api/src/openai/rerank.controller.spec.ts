import { fakeFace } from '@shoal/intake/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { digestOf } from '../http/tenant.js';
import { OpenAiErrorSchema, RerankSchema, TextsErrorSchema, TextsRerankSchema } from '../openapi/openai-answers.js';
import { startTestApi, type TestApi } from '../testing/start.js';

let api: TestApi;
afterEach(() => api.close());

const RANK = fakeFace('rank', 'rerank');
const DOCUMENTS = ['a', 'lake', 'sea'];
const LONG = 'a b c d e f g h i';

async function start(options: Parameters<typeof startTestApi>[0] = {}): Promise<void> {
  api = await startTestApi({ faces: [RANK, fakeFace('embed', 'feature-extraction')], ...options });
}

async function rank(body: object, path = '/v1/rerank'): Promise<unknown> {
  const response = await api.request('POST', path, { query: 'water', ...body });
  expect(response.status).toBe(200);
  return response.json();
}

describe('reranking documents, as clients of Cohere and Jina do', () => {
  test('answers with the best first, on both of their paths', async () => {
    await start();
    for (const path of ['/v1/rerank', '/v2/rerank']) {
      const { model, results, usage } = RerankSchema.parse(await rank({ model: 'rank', documents: DOCUMENTS }, path));
      expect([model, usage]).toEqual(['rank', { prompt_tokens: 3, total_tokens: 3 }]);
      expect(results).toEqual([
        { index: 1, relevance_score: 4 },
        { index: 2, relevance_score: 3 },
        { index: 0, relevance_score: 1 },
      ]);
    }
    await expect.poll(() => api.store.states()).toEqual([]);
  });

  test('takes objects with a text, tells the documents and only so many', async () => {
    await start();
    const documents = [{ text: 'a', title: 'A' }, 'sea'];
    const body = { documents, top_n: 1, return_documents: true };
    expect(await rank(body)).toMatchObject({
      results: [{ index: 1, relevance_score: 3, document: { text: 'document 1' } }],
    });
  });

  test('takes null for "not given", and what the clients send unset', async () => {
    await start();
    const unset = { top_n: null, return_documents: null, model: null, rank_fields: null, max_tokens_per_doc: null };
    expect(await rank({ documents: DOCUMENTS, ...unset })).toMatchObject({ results: [{}, {}, {}] });
  });

  test('cuts what is too long, as those services do, unless it is told not to', async () => {
    await start();
    expect(await rank({ documents: [LONG] })).toMatchObject({ usage: { total_tokens: 8 } });
    const refused = await api.request('POST', '/v1/rerank', { query: 'q', documents: ['a', LONG], truncate: false });
    expect(refused.status).toBe(400);
    expect(OpenAiErrorSchema.parse(await refused.json()).error).toMatchObject({
      code: 'input_too_long',
      param: 'documents[1]',
    });
  });

  test.each([
    ['an unknown model', { documents: DOCUMENTS, model: 'none' }, 404, 'model'],
    ['a model of another task', { documents: DOCUMENTS, model: 'embed' }, 400, 'model'],
    ['no documents', { documents: [] }, 400, 'documents'],
    ['an empty document', { documents: ['a', ''] }, 400, 'documents[1]'],
    ['a document without a text', { documents: ['a', { title: 'x' }] }, 400, 'documents[1]'],
    ['1,001 documents', { documents: Array(1001).fill('a') }, 400, 'documents'],
    ['a top_n of 0', { documents: DOCUMENTS, top_n: 0 }, 400, 'top_n'],
    ['what it does not know', { documents: DOCUMENTS, max_chunks_per_doc: 10 }, 400, 'max_chunks_per_doc'],
    ['an empty query', { documents: DOCUMENTS, query: '' }, 400, 'query'],
    ['nothing to rank', {}, 400, 'documents'],
  ])('refuses %s', async (_, body, status, param) => {
    await start();
    const response = await api.request('POST', '/v1/rerank', { model: 'rank', query: 'q', ...body });
    expect([response.status, OpenAiErrorSchema.parse(await response.json()).error.param]).toEqual([status, param]);
  });
});

describe('reranking texts, as clients of text-embeddings-inference do', () => {
  test('answers with a list, on its own path and below the base URL of the others', async () => {
    await start();
    for (const path of ['/rerank', '/v1/rerank']) {
      expect(TextsRerankSchema.parse(await rank({ texts: DOCUMENTS }, path))).toEqual([
        { index: 1, score: 4 },
        { index: 2, score: 3 },
        { index: 0, score: 1 },
      ]);
    }
    const body = { texts: ['a'], raw_scores: true, return_text: true, truncate: true, truncation_direction: 'Right' };
    expect(await rank(body, '/rerank')).toEqual([{ index: 0, score: 1, text: 'document 0' }]);
    expect(api.store.submitted.at(-1)?.meta.parameters).toMatchObject({ function_to_apply: 'none', truncate: true });
  });

  test('has errors in its shape', async () => {
    await start();
    const told = async (body: object) => {
      const response = await api.request('POST', '/rerank', { query: 'q', ...body });
      return [response.status, TextsErrorSchema.parse(await response.json())];
    };
    expect(await told({ texts: ['a', LONG] })).toEqual([
      422,
      { error: expect.stringContaining('texts[1]'), error_type: 'Validation' },
    ]);
    expect(await told({ texts: ['a'], truncation_direction: 'Left' })).toMatchObject([422, {}]);
  });

  test.each([
    ['/rerank', {}, 'texts: required'],
    ['/rerank', { documents: ['a'], texts: ['a'] }, 'documents: unknown field'],
    ['/rerank', { documents: [] }, 'documents: give'],
    ['/v1/rerank', {}, 'documents: required'],
    ['/v1/rerank', { documents: ['a'], texts: ['a'] }, 'texts: unknown field'],
    ['/v1/rerank', { texts: [] }, 'texts: give'],
  ])('%s of %j asks for the list of its own clients unless the other one was sent', async (path, body, fault) => {
    await start();
    const refused = await api.request('POST', path, { query: 'q', ...body });
    expect(await refused.text()).toContain(fault);
  });

  test('asks which model where there are several, and says where there is none', async () => {
    await start({ faces: [RANK, fakeFace('rank-2', 'rerank')] });
    const several = await api.request('POST', '/rerank', { query: 'q', texts: ['a'] });
    expect(await several.text()).toContain('name one of rank, rank-2');
    await api.close();
    await start({ faces: [fakeFace('embed', 'feature-extraction')] });
    const none = await api.request('POST', '/rerank', { query: 'q', texts: ['a'] });
    expect(await none.text()).toContain('no model that reranks is served');
  });
});

test('a call that takes too long is answered 504, and leaves no job behind', async () => {
  await start({ callTimeoutMs: 10 });
  api.store.immediate = false;
  const response = await api.request('POST', '/v1/rerank', { query: 'q', documents: ['a', 'b'] });
  expect(response.status).toBe(504);
  expect(await response.text()).toContain('wait_timeout');
  await expect.poll(() => api.store.states()).toEqual([]);
  expect(api.store.cancelled).toHaveLength(1);
});

test('every path of it asks for a key where keys are configured', async () => {
  await start({ keys: [{ tenant: { name: 'acme', weight: 1 }, digest: digestOf('key') }] });
  for (const path of ['/v1/rerank', '/v2/rerank', '/rerank']) {
    const body = { query: 'q', documents: ['a'] };
    expect((await api.request('POST', path, body)).status, path).toBe(401);
    expect((await api.request('POST', path, body, { authorization: 'Bearer key' })).status, path).toBe(200);
  }
});
