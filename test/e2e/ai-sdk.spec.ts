/** The `ai` package, by its provider for servers that speak as OpenAI's does. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, streamText } from 'ai';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { readMetric } from '../support/fleet.js';
import { startApi, startWorker } from '../support/processes.js';
import { readReference } from '../support/texts.js';

const MODEL = 'wordnet-lm';
const [{ prompt, greedy_text: answer } = { prompt: '', greedy_text: '' }] = readReference(MODEL);

let api: Awaited<ReturnType<typeof startApi>>;
let worker: Awaited<ReturnType<typeof startWorker>>;
let shoal: ReturnType<typeof createOpenAICompatible>;

beforeAll(async () => {
  const redisUrl = inject('redisUrl');
  [api, worker] = await Promise.all([
    startApi({ redisUrl }),
    startWorker({ redisUrl, env: { SHOAL_MODELS: MODEL, SHOAL_GENERATION_THREADS: '1' } }),
  ]);
  shoal = createOpenAICompatible({ name: 'shoal', baseURL: `${api.url}/v1`, includeUsage: true });
});

afterAll(async () => {
  await Promise.all([api?.stop(), worker?.stop()]);
});

test('generateText gives the answer, why it ended and what it took', async () => {
  const { text, finishReason, usage, response } = await generateText({ model: shoal(MODEL), prompt, temperature: 0 });
  expect({ text, finishReason }).toEqual({ text: answer, finishReason: 'stop' });
  expect(usage).toMatchObject({ inputTokens: 16, outputTokens: expect.any(Number) });
  expect(usage.totalTokens).toBe(16 + usage.outputTokens!);
  expect(response.modelId).toBe(MODEL);
});

test('streamText gives the same, as it grows', async () => {
  const result = streamText({ model: shoal(MODEL), prompt, temperature: 0 });
  const pieces: string[] = [];
  for await (const piece of result.textStream) pieces.push(piece);
  expect(pieces.join('')).toBe(answer);
  expect(await result.finishReason).toBe('stop');
  expect(await result.usage).toMatchObject({ inputTokens: 16 });
});

test('settings reach the model: seed, stop sequences, length, and those that only some servers know', async () => {
  const sampled = { model: shoal(MODEL), prompt, temperature: 0.9, seed: 7, maxOutputTokens: 12 };
  const own = { providerOptions: { shoal: { ignore_eos: true } } };
  const [first, again, other] = [
    await generateText({ ...sampled, ...own }),
    await generateText({ ...sampled, ...own }),
    await generateText({ ...sampled, ...own, seed: 8 }),
  ];
  expect(first).toMatchObject({ text: again.text, finishReason: 'length', usage: { outputTokens: 12 } });
  expect(other.text).not.toBe(first.text);
  const stop = answer.slice(5, 9);
  const { text, finishReason } = await generateText({
    model: shoal(MODEL),
    prompt,
    temperature: 0,
    stopSequences: [stop],
  });
  expect({ text, finishReason }).toEqual({ text: answer.slice(0, answer.indexOf(stop)), finishReason: 'stop' });
});

test('a completion model continues a prompt', async () => {
  const model = shoal.completionModel(MODEL);
  const { text, usage } = await generateText({ model, prompt: 'a small', maxOutputTokens: 5, temperature: 0 });
  expect(text).not.toBe('');
  expect(usage.outputTokens).toBeLessThanOrEqual(5);
});

test('a stream that is aborted frees its row', async () => {
  const cut = new AbortController();
  const result = streamText({
    ...{ model: shoal(MODEL), prompt, maxOutputTokens: 200, abortSignal: cut.signal },
    providerOptions: { shoal: { ignore_eos: true } },
    onError: () => undefined,
  });
  let aborted = false;
  for await (const part of result.fullStream) {
    if (part.type === 'text-delta') cut.abort();
    aborted ||= part.type === 'abort';
  }
  expect(aborted).toBe(true);
  for (const metric of ['shoal_num_requests_running', 'shoal_items_in_flight']) {
    await expect.poll(() => readMetric(worker.metricsUrl, metric)).toBe(0);
  }
});

test.each([
  ['a model that is not there', 'nobody', {}, 404, 'No model of this name'],
  ['a value out of range', MODEL, { topP: 2 }, 400, 'top_p'],
  ['more than the model has room for', MODEL, { maxOutputTokens: 10_000 }, 400, 'max_tokens'],
])('%s is refused at once, and says why', async (_, name, settings, statusCode, says) => {
  const refused = await generateText({ model: shoal(name), prompt, ...settings }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(APICallError);
  expect(refused).toMatchObject({ statusCode, isRetryable: false });
  expect((refused as APICallError).message).toContain(says);
});
