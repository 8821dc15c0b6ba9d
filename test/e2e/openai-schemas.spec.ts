/** Every answer and every event of OpenAI's paths against OpenAI's own schemas of them (test/fixtures/openai). */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { ROOT, startApi, startWorker } from '../support/processes.js';
import { readEvents } from '../support/server-sent-events.js';

const document = JSON.parse(readFileSync(join(ROOT, 'test/fixtures/openai/schemas.json'), 'utf8'));
// They have formats that say nothing of JSON.
const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
ajv.addSchema(document, 'openai');

const files = mkdtempSync(join(tmpdir(), 'shoal-files-'));
let api: Awaited<ReturnType<typeof startApi>>;
let worker: Awaited<ReturnType<typeof startWorker>>;

beforeAll(async () => {
  const redisUrl = inject('redisUrl');
  const env = { SHOAL_MODELS: 'wordnet-lm,wordnet-embed', SHOAL_GENERATION_THREADS: '1' };
  const kept = { SHOAL_STORE: pathToFileURL(files).href };
  [api, worker] = await Promise.all([startApi({ redisUrl, env: kept }), startWorker({ redisUrl, env })]);
});

afterAll(async () => {
  await Promise.all([api?.stop(), worker?.stop()]);
  rmSync(files, { recursive: true });
});

/** What `schema` finds wrong with `value`: one line per fault. */
function faultsOf(schema: string, value: unknown): string[] {
  const validate = ajv.getSchema(`openai#/components/schemas/${schema}`);
  if (validate === undefined) throw new Error(`no schema ${schema}`);
  validate(value);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

function post(path: string, body: object): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(`${api.url}/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
}

async function eventsOf(response: Response): Promise<unknown[]> {
  const events: unknown[] = [];
  for await (const { data } of readEvents(response)) events.push(data);
  return events;
}

const chat = (more: object) => ({
  model: 'wordnet-lm',
  messages: [{ role: 'user', content: 'What does “shark” mean?' }],
  max_completion_tokens: 12,
  ...more,
});
const completion = (more: object) => ({ model: 'wordnet-lm', prompt: 'A shark is', max_tokens: 12, ...more });

const SETTINGS = [
  ['nothing asked', {}],
  ['three answers', { n: 3, temperature: 1, seed: 1 }],
  ['a stop sequence', { stop: ['a', 'e'] }],
  ['one token', { max_completion_tokens: 1, max_tokens: undefined }],
] as const;

describe('chat', () => {
  const settings = [...SETTINGS, ['alternatives', { logprobs: true, top_logprobs: 3 }]] as const;

  test.each(settings)('%s', async (_, more) => {
    const response = await post('chat/completions', chat(more));
    expect(response.status).toBe(200);
    expect(faultsOf('CreateChatCompletionResponse', await response.json())).toEqual([]);
  });

  test.each(settings)('%s, streamed', async (_, more) => {
    const response = await post(
      'chat/completions',
      chat({ ...more, stream: true, stream_options: { include_usage: true } }),
    );
    const events = await eventsOf(response);
    expect(events.length).toBeGreaterThan(2);
    expect(events.pop()).toBeNull();
    expect(events.flatMap((event) => faultsOf('CreateChatCompletionStreamResponse', event))).toEqual([]);
  });
});

describe('completions', () => {
  const settings = [
    ...SETTINGS.slice(0, 3),
    ['several prompts', { prompt: ['A shark is', 'A dog is'] }],
    ['alternatives', { logprobs: 3 }],
  ] as const;
  const whole = [...settings, ['the prompt before the text', { echo: true }]] as const;

  test.each(whole)('%s', async (_, more) => {
    const response = await post('completions', completion(more));
    expect(response.status).toBe(200);
    expect(faultsOf('CreateCompletionResponse', await response.json())).toEqual([]);
  });

  test.each(settings)('%s, streamed', async (_, more) => {
    const response = await post('completions', completion({ ...more, stream: true }));
    const events = await eventsOf(response);
    expect(events.length).toBeGreaterThan(2);
    expect(events.pop()).toBeNull();
    const faults = events.flatMap((event) => faultsOf('CreateCompletionResponse', event));
    // The schema is of whole answers; in OpenAI's events, too, a choice that goes on has the reason null.
    expect(faults.filter((fault) => !/finish_reason must be (string|equal to one of)/.test(fault))).toEqual([]);
  });
});

test.each(['float', 'base64'])('embeddings in %s', async (encoding_format) => {
  const response = await post('embeddings', { model: 'wordnet-embed', input: ['a shark', 'a dog'], encoding_format });
  const faults = faultsOf('CreateEmbeddingResponse', await response.json());
  // The schema knows numbers alone, though the reference has base64 as well.
  expect(faults.filter((fault) => encoding_format === 'float' || !fault.endsWith('embedding must be array'))).toEqual(
    [],
  );
});

test('models', async () => {
  const list = (await (await fetch(`${api.url}/v1/models`)).json()) as { data: unknown[] };
  expect(list.data.length).toBeGreaterThan(1);
  expect(faultsOf('ListModelsResponse', list)).toEqual([]);
  expect(faultsOf('Model', await (await fetch(`${api.url}/v1/models/wordnet-lm`)).json())).toEqual([]);
});

test('files', async () => {
  const form = new FormData();
  form.append('purpose', 'batch');
  form.append('expires_after[anchor]', 'created_at');
  form.append('expires_after[seconds]', '3600');
  form.append('file', new Blob(['{}\n']), 'a.jsonl');
  const none = await (await fetch(`${api.url}/v1/files`)).json();
  const made = await (await fetch(`${api.url}/v1/files`, { method: 'POST', body: form })).json();
  const { id } = made as { readonly id: string };
  const list = await (await fetch(`${api.url}/v1/files`)).json();
  const found = await (await fetch(`${api.url}/v1/files/${id}`)).json();
  const deleted = await (await fetch(`${api.url}/v1/files/${id}`, { method: 'DELETE' })).json();
  expect([none, list].flatMap((one) => faultsOf('ListFilesResponse', one))).toEqual([]);
  expect([made, found].flatMap((one) => faultsOf('OpenAIFile', one))).toEqual([]);
  expect(faultsOf('DeleteFileResponse', deleted)).toEqual([]);
  const missing = await fetch(`${api.url}/v1/files/${id}`);
  expect(missing.status).toBe(404);
  expect(faultsOf('ErrorResponse', await missing.json())).toEqual([]);
});

test.each([
  ['a model that is not there', 404, 'chat/completions', chat({ model: 'nemo' })],
  ['a field of the wrong type', 400, 'chat/completions', chat({ temperature: 'hot' })],
  ['no prompt', 400, 'completions', { model: 'wordnet-lm' }],
  ['an empty list', 400, 'embeddings', { model: 'wordnet-embed', input: [] }],
  ['a path that is not there', 404, 'audio/speech', {}],
])('the error of %s', async (_, status, path, body) => {
  const response = await post(path, body);
  expect(response.status).toBe(status);
  expect(faultsOf('ErrorResponse', await response.json())).toEqual([]);
});
