import { ShoalError } from '@shoal/contracts';
import OpenAI from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { digestOf } from '../http/tenant.js';
import { EmbeddingsSchema, OpenAiErrorSchema } from '../openapi/openai-answers.js';
import { startTestApi, type TestApi } from '../testing/start.js';

let api: TestApi;
afterEach(() => api.close());

async function start(options: Parameters<typeof startTestApi>[0] = {}): Promise<OpenAI> {
  api = await startTestApi(options);
  return new OpenAI({ baseURL: `${api.url}/v1`, apiKey: 'key', maxRetries: 0 });
}

/** What the fake model answers for word lengths or token ids. */
const vector = (...ids: number[]) => [ids.reduce((sum, id) => sum + id, 0), ids.length, expect.closeTo(0.1)];

describe('POST /v1/embeddings through the openai client', () => {
  test.each([
    ['a string', 'small fish', [vector(5, 4)]],
    ['strings', ['small fish', 'shoal'], [vector(5, 4), vector(5)]],
    ['a token array', [7, 8, 9], [vector(7, 8, 9)]],
    ['token arrays', [[7], [8, 9]], [vector(7), vector(8, 9)]],
  ])('embeds %s', async (_, input, expected) => {
    const client = await start();
    for (const encoding_format of [undefined, 'float'] as const) {
      const answer = await client.embeddings.create({
        model: 'embed',
        input,
        ...(encoding_format && { encoding_format }),
      });
      expect(answer.data.map((entry) => entry.embedding)).toEqual(expected);
      expect(answer.data.map((entry) => entry.index)).toEqual(expected.map((_vector, index) => index));
      expect(answer.usage.total_tokens).toBe(api.store.submitted.at(-1)?.tokens.reduce((sum, count) => sum + count, 0));
    }
  });

  test('sends base64 and floats that are the same float32', async () => {
    await start();
    const send = async (encoding_format: string) => {
      const body = { model: 'embed', input: 'small fish', encoding_format };
      return EmbeddingsSchema.parse(await (await api.request('POST', '/v1/embeddings', body)).json()).data[0]
        ?.embedding;
    };
    expect(await send('float')).toEqual([9, 2, 0.1]);
    const bytes = Buffer.from(String(await send('base64')), 'base64');
    expect([0, 4, 8].map((at) => bytes.readFloatLE(at))).toEqual([9, 2, Math.fround(0.1)]);
  });

  test('hands on dimensions', async () => {
    const client = await start();
    await client.embeddings.create({ model: 'embed', input: 'shoal', dimensions: 2 });
    expect(api.store.submitted[0]?.meta.parameters).toMatchObject({ dimensions: 2 });
  });

  test('hands on the name of a prompt', async () => {
    await start();
    const body = { model: 'embed', input: 'shoal', prompt_name: 'query' };
    expect((await api.request('POST', '/v1/embeddings', body)).status).toBe(200);
    expect(api.store.submitted[0]?.meta.parameters).toMatchObject({ prompt_name: 'query' });
  });

  test('takes 2,048 inputs, answered in their order', async () => {
    const client = await start();
    const input = Array.from({ length: 2048 }, (_, n) => [n]);
    const answer = await client.embeddings.create({ model: 'embed', input });
    expect(answer.data.map((entry) => [entry.index, entry.embedding[0]])).toEqual(input.map(([n]) => [n, n]));
    expect(answer.usage).toEqual({ prompt_tokens: 2048, total_tokens: 2048 });
    expect(api.store.states()).toEqual([]);
  });

  test('takes null for "not given" wherever a field may be left out', async () => {
    await start();
    const refused = await api.request('POST', '/v1/embeddings', { model: 'embed', input: null });
    expect(OpenAiErrorSchema.parse(await refused.json()).error.param).toBe('input');
    const unset = { encoding_format: null, dimensions: null, user: null, prompt_name: null, truncate: null };
    const response = await api.request('POST', '/v1/embeddings', { model: 'embed', input: 'small fish', ...unset });
    expect(EmbeddingsSchema.parse(await response.json()).data[0]?.embedding).toEqual([9, 2, 0.1]);
  });

  test('cuts a text that is too long where the caller asks for it, as the refusal says', async () => {
    const client = await start();
    const body = { model: 'embed', input: 'a b c d e f g h i', truncate: true };
    expect((await client.embeddings.create(body)).usage.total_tokens).toBe(8);
  });

  test('leaves no job behind where one of its jobs is refused', async () => {
    const client = await start();
    const input = [...Array(600).fill('a'), 'a b c d e f g h i'];
    await expect(client.embeddings.create({ model: 'embed', input })).rejects.toThrow('input[600]');
    await expect.poll(() => api.store.states()).toEqual([]);
  });

  test('leaves no job behind', async () => {
    const client = await start();
    await client.embeddings.create({ model: 'embed', input: 'shoal' });
    expect(api.store.states()).toEqual([]);
  });

  test.each([
    ['an unknown model', { model: 'none' }, OpenAI.NotFoundError, 'model_not_found', 'model'],
    ['a name as Hugging Face has it', { model: 'acme/embed' }, OpenAI.NotFoundError, 'model_not_found', 'model'],
    ['a model of another task', { model: 'topic' }, OpenAI.BadRequestError, 'invalid_request', 'model'],
    ['an empty text among others', { input: ['a', ''] }, OpenAI.BadRequestError, 'invalid_request', 'input[1]'],
    ['an empty token array', { input: [[1], []] }, OpenAI.BadRequestError, 'invalid_request', 'input[1]'],
    ['a number among texts', { input: ['a', 7] as string[] }, OpenAI.BadRequestError, 'invalid_request', 'input[1]'],
    ['a text among numbers', { input: [7, 'a'] as number[] }, OpenAI.BadRequestError, 'invalid_request', 'input[1]'],
    ['a token id below 0', { input: [[1], [2, -1]] }, OpenAI.BadRequestError, 'invalid_request', 'input[1][1]'],
    ['2,049 inputs', { input: Array(2049).fill('a') }, OpenAI.BadRequestError, 'invalid_request', 'input'],
    ['one text that is too long', { input: 'a b c d e f g h i' }, OpenAI.BadRequestError, 'input_too_long', 'input'],
    ['400,000 wrong ids', { input: Array(400_000).fill(-1) }, OpenAI.BadRequestError, 'invalid_request', 'input'],
    [
      'one that is too long among many',
      { input: [...Array(1500).fill('a'), 'a b c d e f g h i'] },
      OpenAI.BadRequestError,
      'input_too_long',
      'input[1500]',
    ],
    ['an empty input', { input: '' }, OpenAI.BadRequestError, 'invalid_request', 'input'],
    ['an empty list', { input: [] }, OpenAI.BadRequestError, 'invalid_request', 'input'],
    [
      'an input that is too long',
      { input: ['a', 'a b c d e f g h i'] },
      OpenAI.BadRequestError,
      'input_too_long',
      'input[1]',
    ],
    [
      'tokens that are too many',
      { input: [[1, 2, 3, 4, 5, 6, 7, 8, 9]] },
      OpenAI.BadRequestError,
      'input_too_long',
      'input[0]',
    ],
    ['too many dimensions', { dimensions: 4 }, OpenAI.BadRequestError, 'invalid_request', 'dimensions'],
    [
      'a prompt that the model has not',
      { prompt_name: 'passage' },
      OpenAI.BadRequestError,
      'invalid_request',
      'prompt_name',
    ],
    ['an unknown field', { extra: 1 }, OpenAI.BadRequestError, 'invalid_request', 'extra'],
  ])('refuses %s', async (_, changes, kind, code, param) => {
    const client = await start();
    const error = await client.embeddings.create({ model: 'embed', input: 'a', ...changes }).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ code, param });
    await expect.poll(() => api.store.states()).toEqual([]);
  });

  test('tells which models embed where the one that was named does not', async () => {
    const client = await start();
    const call = client.embeddings.create({ model: 'topic', input: 'a' });
    await expect(call).rejects.toThrow('topic serves text-classification');
    await expect(call).rejects.toThrow('models for it: embed');
  });

  test.each([
    ['queue_full', OpenAI.RateLimitError, 429],
    ['redis_unavailable', OpenAI.InternalServerError, 503],
  ] as const)('raises the client’s own class for %s', async (code, kind, status) => {
    const client = await start();
    api.store.failure = new ShoalError(code, 'repeat it later, with the same Idempotency-Key where it is unknown');
    const error = await client.embeddings.create({ model: 'embed', input: 'a' }).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ status, code });
    expect(error.message).toContain('later');
    if (code === 'redis_unavailable') expect(error.message).not.toContain('Idempotency-Key');
    expect(error.headers.get('retry-after')).toBe('1');
  });

  test('asks for a key where keys are configured', async () => {
    const client = await start({ keys: [{ tenant: { name: 'acme', weight: 1 }, digest: digestOf('other') }] });
    await expect(client.embeddings.create({ model: 'embed', input: 'a' })).rejects.toThrow(OpenAI.AuthenticationError);
  });

  test('tells why the model failed, and that a repeat would not help', async () => {
    const client = await start();
    api.store.immediate = false;
    api.store.onWait = () => finishAll(new ShoalError('inference_failed', 'the output is not a number'));
    const error = await client.embeddings.create({ model: 'embed', input: 'a' }).catch((thrown) => thrown);
    expect(error).toMatchObject({ status: 500, code: 'inference_failed' });
    expect(error.headers.get('x-should-retry')).toBe('false');
    await expect.poll(() => api.store.states()).toEqual([]);
  });
});

describe('an embeddings call that takes too long', () => {
  // Clients repeat such a call, and nobody knows the id of its job: what it left could only count for its tenant.
  test('is answered 504, and leaves no job behind', async () => {
    const client = await start({ callTimeoutMs: 10 });
    api.store.immediate = false;
    const error = await client.embeddings.create({ model: 'embed', input: 'a' }).catch((thrown) => thrown);
    expect(error).toMatchObject({ status: 504, code: 'wait_timeout' });
    await expect.poll(() => api.store.states()).toEqual([]);
    expect(api.store.cancelled).toHaveLength(1);
    expect(api.store.submitted[0]).toMatchObject({ deadline: { in: 10 }, retentionMs: 600_000 });
  });

  test('is answered 504 as well where the deadline was noticed first', async () => {
    await start();
    api.store.immediate = false;
    api.store.onWait = () => finishAll(new ShoalError('expired', 'the deadline passed'));
    const response = await api.request('POST', '/v1/embeddings', { model: 'embed', input: 'a' });
    expect(OpenAiErrorSchema.parse(await response.json()).error.code).toBe('wait_timeout');
    await expect.poll(() => api.store.states()).toEqual([]);
  });

  test('has its job erased when the caller hangs up', async () => {
    const client = await start();
    api.store.immediate = false;
    const hangUp = new AbortController();
    api.store.onWait = () => hangUp.abort();
    const call = client.embeddings.create({ model: 'embed', input: 'a' }, { signal: hangUp.signal });
    await expect(call).rejects.toThrow(OpenAI.APIUserAbortError);
    await expect.poll(() => api.store.cancelled).toHaveLength(1);
    await expect.poll(() => api.store.states()).toEqual([]);
  });
});

test('answers a running call before the server closes', async () => {
  const client = await start();
  api.store.immediate = false;
  const started = new Promise<void>((resolve) => {
    api.store.onWait = resolve;
  });
  const call = client.embeddings.create({ model: 'embed', input: 'a' });
  await started;
  const closed = api.close();
  finishAll();
  expect((await call).data).toHaveLength(1);
  await closed;
});

function finishAll(error?: ShoalError): void {
  for (const id of api.store.ids()) api.store.finish(id, error);
}
