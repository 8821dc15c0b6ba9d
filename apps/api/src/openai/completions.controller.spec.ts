import { ShoalError } from '@shoal/contracts';
import OpenAI from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { OpenAiErrorSchema } from '../openapi/openai-answers.js';
import { CompletionChunkSchema, CompletionSchema } from '../openapi/text-answers.js';
import { fakeGenerator } from '../testing/fake-generator.js';
import { startTestApi, type TestApi } from '../testing/start.js';
import { checkedChunks } from '../testing/text-events.js';

let api: TestApi;
afterEach(() => api.close());

async function start(options: Parameters<typeof startTestApi>[0] = {}): Promise<OpenAI> {
  api = await startTestApi({ faces: [fakeGenerator('base', { template: false })], ...options });
  return new OpenAI({ baseURL: `${api.url}/v1`, apiKey: 'key', maxRetries: 0 });
}

const ASK = { model: 'base', prompt: 'Where do fish swim?' };
const WHOLE = ' Fish swim in shoals.€';

async function answer(body: object) {
  const response = await api.request('POST', '/v1/completions', { ...ASK, ...body });
  return CompletionSchema.parse(await response.json());
}

describe('POST /v1/completions', () => {
  test('answers through the openai client with 16 tokens at most, and leaves no job behind', async () => {
    const client = await start();
    const { choices, usage } = await client.completions.create(ASK);
    expect(choices[0]).toMatchObject({ index: 0, text: WHOLE, finish_reason: 'stop', logprobs: null });
    expect(usage).toMatchObject({ prompt_tokens: 4, completion_tokens: 9 });
    expect(api.store.submitted[0]?.meta.parameters).toMatchObject({ max_tokens: 16 });
    await expect.poll(() => api.store.states()).toEqual([]);
  });

  test.each([
    ['a text', 'a b', [2]],
    ['texts', ['a b', 'c'], [2, 1]],
    ['a token array', [1, 2, 3], [3]],
    ['token arrays', [[1, 2], [3]], [2, 1]],
  ])('goes on with %s, n times each', async (_, prompt, lengths) => {
    const client = await start();
    const { choices, usage } = await client.completions.create({ model: 'base', prompt, n: 2 });
    expect(choices.map(({ index }) => index)).toEqual(lengths.flatMap((_length, at) => [at * 2, at * 2 + 1]));
    expect(choices.map(({ text }) => text.slice(1, 5))).toEqual(lengths.flatMap(() => ['Fish', 'Whal']));
    expect(usage?.prompt_tokens).toBe(lengths.reduce((sum, length) => sum + length, 0));
    // Of each prompt two, however many answers it has.
    expect(usage?.prompt_tokens_details?.cached_tokens).toBe(2 * lengths.length);
  });

  test('tells log probabilities as lists side by side', async () => {
    await start();
    const { choices } = await answer({ logprobs: 2, max_tokens: 8 });
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0]!.logprobs!;
    expect(tokens).toEqual([' Fish', ' swim', ' in', ' sho', 'als', '.', 'bytes:\\xe2\\x82', 'bytes:\\xac']);
    expect(token_logprobs).toEqual([-0.1, -0.2, -0.3, -0.4, -0.5, -0.6, -0.7, -0.8]);
    expect(Object.keys(top_logprobs[1]!)).toHaveLength(2);
    expect(top_logprobs[1]?.[' swim']).toBe(-0.2);
    expect(text_offset).toEqual([0, 5, 10, 13, 17, 20, 21, 22]);
  });

  test('echoes the prompt with its log probabilities, as lm-evaluation-harness asks', async () => {
    await start();
    const { choices } = await answer({ prompt: [[1, 2, 3]], echo: true, logprobs: 1, max_tokens: 1, temperature: 0 });
    const { text, logprobs } = choices[0]!;
    expect(text.endsWith(' Fish')).toBe(true);
    expect(logprobs?.tokens.join('')).toBe(text);
    expect(logprobs?.token_logprobs[0]).toBeNull();
    expect(logprobs?.top_logprobs[0]).toBeNull();
    const [, second, ...others] = logprobs!.tokens.map((token, n) => [token, logprobs!.top_logprobs[n]] as const);
    for (const [token, top] of [second!, ...others]) expect(Object.keys(top!)).toContain(token);
    expect(logprobs?.text_offset.at(-1)).toBe([...text].length - 5);
  });

  test('echoes without an answer where no token is asked for', async () => {
    await start();
    const { choices, usage } = await answer({ prompt: [1, 2], echo: true, logprobs: 0, max_tokens: 0 });
    expect(choices[0]?.logprobs?.tokens).toHaveLength(2);
    expect(usage.completion_tokens).toBe(0);
  });

  test.each([
    ['no prompt', { prompt: null }, 'prompt'],
    ['an empty one among others', { prompt: ['a', ''] }, 'prompt[1]'],
    ['one that is too long among others', { prompt: ['a', 'b '.repeat(99)] }, 'prompt[1]'],
    ['one that is too long', { prompt: 'b '.repeat(99) }, 'prompt'],
    ['more answers than a job may have', { prompt: Array(501).fill('a'), n: 2 }, 'n'],
    ['no token without echo', { max_tokens: 0 }, 'max_tokens'],
    ['6 alternatives', { logprobs: 6 }, 'logprobs'],
    ['a text behind', { suffix: 'x' }, 'suffix'],
    ['the best of more', { best_of: 3 }, 'best_of'],
    ['echo in a stream', { echo: true, stream: true }, 'echo'],
  ])('refuses %s', async (_, changes, param) => {
    await start();
    const response = await api.request('POST', '/v1/completions', { ...ASK, ...changes });
    expect([response.status, OpenAiErrorSchema.parse(await response.json()).error.param]).toEqual([400, param]);
  });

  test('streams text, the ends of all answers, and what it took', async () => {
    await start();
    api.store.immediate = false;
    api.store.onWait = () => {
      const [id] = api.store.ids();
      for (const index of [1, 0, 1, 0]) api.store.grow(id!, index, 1);
      for (const index of [0, 1]) api.store.complete(id!, index);
    };
    const body = { ...ASK, stream: true, n: 2, logprobs: 1, stream_options: { include_usage: true } };
    const response = await api.request('POST', '/v1/completions', body);
    const chunks = checkedChunks(CompletionChunkSchema, await response.text());
    expect(chunks.pop()?.usage).toMatchObject({ prompt_tokens: 4, completion_tokens: 18 });
    for (const index of [0, 1]) {
      const mine = chunks.flatMap(({ choices }) => choices.filter((choice) => choice.index === index));
      expect(mine.map(({ text }) => text).join('')).toBe(index === 0 ? WHOLE : ' Whales swim in shoals.€');
      const offsets = mine.flatMap(({ logprobs }) => logprobs?.text_offset ?? []);
      expect(offsets.slice(0, 3)).toEqual(index === 0 ? [0, 5, 10] : [0, 7, 12]);
      expect(mine.at(-1)).toMatchObject({ text: '', finish_reason: 'stop' });
    }
  });
});

describe('an answer that is to be kept', () => {
  const KEPT = { ...ASK, store: true, metadata: { order: '4711' } };

  test('is read again, and erased', async () => {
    await start();
    const made = await answer(KEPT);
    const read = await api.request('GET', `/v1/completions/${made.id}`);
    expect(CompletionSchema.parse(await read.json())).toEqual(made);
    expect(api.store.submitted[0]?.deadline).toBeUndefined();
    expect(api.store.submitted[0]?.meta.metadata).toEqual({ order: '4711' });
    const removed = await api.request('DELETE', `/v1/completions/${made.id}`);
    expect(await removed.json()).toEqual({ id: made.id, object: 'text_completion.deleted', deleted: true });
    expect((await api.request('GET', `/v1/completions/${made.id}`)).status).toBe(404);
  });

  test('goes on when its reader hangs up, and its stream where the reader was', async () => {
    await start();
    api.store.immediate = false;
    api.store.onWait = () => api.store.grow(api.store.ids()[0]!, 0, 2);
    const hangUp = new AbortController();
    const response = await fetch(`${api.url}/v1/completions`, {
      method: 'POST',
      body: JSON.stringify({ ...KEPT, stream: true }),
      headers: { 'content-type': 'application/json' },
      signal: hangUp.signal,
    });
    let had = '';
    for await (const bytes of response.body!) {
      had += Buffer.from(bytes as Uint8Array).toString();
      if (had.includes('swim')) break;
    }
    hangUp.abort();
    const { id } = JSON.parse(/^data: (.*)$/m.exec(had)![1]!) as { id: string };
    expect([...had.matchAll(/^id: (.*)$/gm)].map(([, each]) => each)).toEqual(['1.0', '2.0']);
    expect(api.store.states()).toEqual(['queued']);
    api.store.onWait = () => {};
    api.store.complete(api.store.ids()[0]!, 0);
    const headers = { accept: 'text/event-stream', 'last-event-id': '1.0' };
    const rest = await api.request('GET', `/v1/completions/${id}?include_usage=true`, undefined, headers);
    const chunks = checkedChunks(CompletionChunkSchema, await rest.text());
    expect(chunks.map(({ choices }) => choices[0]?.text).join('')).toBe(' swim in shoals.€');
    expect(chunks.at(-1)?.usage?.completion_tokens).toBe(9);
    expect(chunks.every((chunk) => chunk.id === id)).toBe(true);
    expect(api.store.states()).toEqual(['completed']);
  });

  test('is not there under an id of another path, of a job, or of nothing', async () => {
    await start();
    const { id } = await answer(KEPT);
    for (const other of [id.replace('cmpl-', 'chatcmpl-'), id.slice(5), 'cmpl-x', `${id}0`]) {
      const response = await api.request('GET', `/v1/completions/${other}`);
      expect([response.status, OpenAiErrorSchema.parse(await response.json()).error.code]).toEqual([
        404,
        'job_not_found',
      ]);
    }
  });

  test('tells that it was cancelled, and that a repeat would not help', async () => {
    await start();
    api.store.immediate = false;
    api.store.onWait = () => {
      const [id] = api.store.ids();
      api.store.finish(id!, new ShoalError('cancelled', 'cancelled by its owner'));
    };
    const response = await api.request('POST', '/v1/completions', KEPT);
    expect([response.status, response.headers.get('x-should-retry')]).toEqual([409, 'false']);
    expect(response.headers.get('x-request-id')).toMatch(/./);
  });
});

describe('an answer that is not to be kept', () => {
  test('leaves nothing where it fails', async () => {
    await start();
    api.store.immediate = false;
    api.store.onWait = () => api.store.finish(api.store.ids()[0]!, new ShoalError('inference_failed', 'no number'));
    expect((await api.request('POST', '/v1/completions', ASK)).status).toBe(500);
    await expect.poll(() => api.store.states()).toEqual([]);
  });

  test('leaves nothing where its caller hangs up', async () => {
    await start();
    api.store.immediate = false;
    const hangUp = new AbortController();
    api.store.onWait = () => hangUp.abort();
    const body = JSON.stringify(ASK);
    const headers = { 'content-type': 'application/json' };
    const call = fetch(`${api.url}/v1/completions`, { method: 'POST', body, headers, signal: hangUp.signal });
    await expect(call).rejects.toThrow('abort');
    await expect.poll(() => api.store.cancelled).toHaveLength(1);
    await expect.poll(() => api.store.states()).toEqual([]);
  });
});

describe('an answer that takes too long', () => {
  // Only who asked for it to be kept has an id to ask for it: what others left would count for their tenant, for nothing.
  test('is answered 504 and leaves nothing, but where it is to be kept goes on', async () => {
    await start({ generationTimeoutMs: 20 });
    api.store.immediate = false;
    const locations: (string | null)[] = [];
    for (const [store, states] of [
      [false, []],
      [true, ['queued']],
    ] as const) {
      const response = await api.request('POST', '/v1/completions', { ...ASK, store });
      expect([response.status, OpenAiErrorSchema.parse(await response.json()).error.code]).toEqual([
        504,
        'wait_timeout',
      ]);
      await expect.poll(() => api.store.states()).toEqual(states);
      locations.push(response.headers.get('location'));
    }
    expect(locations).toEqual([null, expect.stringMatching(/^\/v1\/completions\/cmpl-base/)]);
    expect(api.store.submitted.map(({ deadline }) => deadline)).toEqual([{ in: 20 }, undefined]);
  });
});
