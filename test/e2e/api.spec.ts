/** The API and a worker as processes, on a Redis of their own: what callers send and what they get. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobView } from '@shoal/contracts';
import { startRedis } from '@shoal/tools/redis';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApi, startWorker } from '../support/processes.js';

const EMBED = 'wordnet-embed';
const TOPIC = 'wordnet-topic';
const KEYS = 'acme:acme-key,zeta:zeta-key';
const JOB = { model: TOPIC, input: 'a large fish that lives in the sea' };

const dir = mkdtempSync(join(tmpdir(), 'shoal-e2e-'));
const ended: (() => Promise<unknown>)[] = [];
let url: string;
let client: OpenAI;

beforeAll(async () => {
  const redis = await startRedis({ dir });
  ended.unshift(() => redis.stop());
  const api = await startApi({ redisUrl: redis.url, env: { SHOAL_API_KEYS: KEYS } });
  ended.unshift(() => api.stop());
  const worker = await startWorker({ redisUrl: redis.url });
  ended.unshift(() => worker.stop());
  url = api.url;
  client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'acme-key', maxRetries: 0 });
});

afterAll(async () => {
  for (const end of ended) await end();
  rmSync(dir, { recursive: true });
});

function send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}${path}`, {
    method,
    body: body === undefined ? null : JSON.stringify(body),
    headers: {
      authorization: 'Bearer acme-key',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
  });
}

async function run(body: unknown): Promise<JobView> {
  const response = await send('POST', '/v1/jobs?wait=60', body);
  expect(response.status).toBe(200);
  return (await response.json()) as JobView;
}

describe('embeddings through the openai client', () => {
  test('floats and base64 are the same vectors, of length 1', async () => {
    const input = ['a fish', 'a large fish that lives in the sea'];
    const floats = await client.embeddings.create({ model: EMBED, input, encoding_format: 'float' });
    const decoded = await client.embeddings.create({ model: EMBED, input });
    for (const [index, { embedding }] of floats.data.entries()) {
      expect(Math.hypot(...embedding)).toBeCloseTo(1, 3);
      expect(cosine(embedding, decoded.data[index]?.embedding ?? [])).toBeCloseTo(1, 5);
    }
    expect(floats.usage.total_tokens).toBe(floats.usage.prompt_tokens);
  });

  test('dimensions keeps the leading ones', async () => {
    const answer = await client.embeddings.create({ model: EMBED, input: 'a fish', dimensions: 16 });
    expect(answer.data[0]?.embedding).toHaveLength(16);
  });

  test('token arrays are used as they are', async () => {
    const answer = await client.embeddings.create({ model: EMBED, input: [[2, 3], [4]] });
    expect(answer.data).toHaveLength(2);
    expect(answer.usage.prompt_tokens).toBe(3);
  });

  test('2,048 inputs are answered in their order', async () => {
    const words = ['fish', 'knob', 'river', 'music'];
    const input = Array.from({ length: 2048 }, (_, n) => words[n % words.length]!);
    const { data, usage } = await client.embeddings.create({ model: EMBED, input });
    const single = await client.embeddings.create({ model: EMBED, input: words });
    expect(data.map((entry) => entry.index)).toEqual(input.map((_, n) => n));
    for (const [n, { embedding }] of data.entries()) {
      expect(cosine(embedding, single.data[n % words.length]!.embedding)).toBeCloseTo(1, 4);
    }
    expect(usage.total_tokens).toBe(512 * single.usage.total_tokens);
  });

  test('null is "not given", and a text that is too long is cut where that is asked for', async () => {
    const unset = { encoding_format: null, dimensions: null, user: null };
    const response = await send('POST', '/v1/embeddings', { model: EMBED, input: 'a fish', ...unset });
    expect(await response.json()).toMatchObject({ data: [{ embedding: expect.any(Array) }] });
    const long = { model: EMBED, input: 'fish '.repeat(5000), truncate: true };
    expect((await client.embeddings.create(long)).data).toHaveLength(1);
  });

  test('what is not there is told with what there is', async () => {
    const messageOf = (call: PromiseLike<unknown>) =>
      Promise.resolve(call).then(
        () => 'answered',
        (error: unknown) => (error instanceof OpenAI.NotFoundError ? error.message : error),
      );
    const embed = (model: string) => client.embeddings.create({ model, input: 'a fish' });
    expect(await messageOf(embed('acme/wordnet-embeds'))).toContain('Did you mean wordnet-embed');
    expect(await messageOf(client.models.retrieve('acme/wordnet-embed'))).toContain('Did you mean wordnet-embed');
    await expect(embed('wordnet-lm')).rejects.toThrow('wordnet-lm serves text-generation');
    const messages = [{ role: 'user' as const, content: 'hello' }];
    const chat = (model: string) => client.chat.completions.create({ model, messages, max_tokens: 4 });
    await expect(chat('wordnet-embed')).rejects.toThrow('wordnet-embed serves feature-extraction');
    expect((await chat('wordnet-lm')).choices).toHaveLength(1);
    const response = client.responses.create({ model: 'wordnet-lm', input: 'hello' });
    expect(await messageOf(response)).toContain('POST /v1/chat/completions');
    expect(await messageOf(client.batches.list())).toContain('/v1/jobs/bulk');
    const lost = new OpenAI({ baseURL: url, apiKey: 'acme-key', maxRetries: 0 });
    expect(await messageOf(lost.models.list())).toContain('ends with /v1, once');
  });

  test('errors are the client’s own classes', async () => {
    const create = (changes: object) => client.embeddings.create({ model: EMBED, input: 'a fish', ...changes });
    await expect(create({ model: 'none' })).rejects.toThrow(OpenAI.NotFoundError);
    await expect(create({ model: TOPIC })).rejects.toThrow(OpenAI.BadRequestError);
    await expect(create({ input: 'fish '.repeat(5000) })).rejects.toMatchObject({
      code: 'input_too_long',
      param: 'input',
    });
    await expect(create({ dimensions: 100_000 })).rejects.toMatchObject({ param: 'dimensions' });
    const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'stranger', maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toThrow(OpenAI.AuthenticationError);
  });
});

describe('models', () => {
  test('each has an example that runs', async () => {
    for await (const { id } of client.models.list()) {
      const card = (await (await send('GET', `/v1/models/${id}`)).json()) as { example: { request: unknown } };
      expect(await run(card.example.request), id).toMatchObject({ status: 'completed', model: id });
    }
  });
});

describe('a job', () => {
  test('tells what happened', async () => {
    const job = await run({ ...JOB, input: [JOB.input, 'a fish'], metadata: { order: '7' } });
    expect(job).toMatchObject({
      status: 'completed',
      output: [expect.arrayContaining([{ label: expect.any(String), score: expect.any(Number) }]), expect.any(Array)],
      errors: [],
      items: { total: 2, done: 2, failed: 0 },
      metadata: { order: '7' },
      attempts: 1,
    });
    expect(job.usage.input_tokens).toBeGreaterThan(2);
    expect(job.batches.reduce((sum, batch) => sum + batch.items, 0)).toBe(2);
    expect(Date.parse(job.ended_at ?? '')).toBeGreaterThanOrEqual(Date.parse(job.started_at ?? ''));
    expect(Date.parse(job.expires_at ?? '')).toBeGreaterThan(Date.parse(job.ended_at ?? ''));
  });

  test('can be waited for after it was accepted', async () => {
    const accepted = await send('POST', '/v1/jobs', JOB);
    expect(accepted.status).toBe(202);
    const { links } = (await accepted.json()) as JobView;
    const response = await send('GET', links.self, undefined, { prefer: 'wait=60' });
    expect(response.headers.get('preference-applied')).toBe('wait');
    expect(await response.json()).toMatchObject({ status: 'completed' });
  });

  test('is one job however often it is sent with the same Idempotency-Key', async () => {
    const key = { 'idempotency-key': 'e2e-once' };
    const answers = await Promise.all(Array.from({ length: 8 }, () => send('POST', '/v1/jobs', JOB, key)));
    const ids = await Promise.all(answers.map(async (answer) => ((await answer.json()) as JobView).id));
    expect(new Set(ids).size).toBe(1);
    const conflict = await send('POST', '/v1/jobs', { ...JOB, input: 'other' }, key);
    expect([conflict.status, await conflict.json()]).toMatchObject([422, { code: 'idempotency_conflict' }]);
  });

  test('that was deleted is gone', async () => {
    const { links } = await run(JOB);
    expect((await send('DELETE', links.self)).status).toBe(204);
    for (const method of ['GET', 'DELETE']) expect((await send(method, links.self)).status).toBe(404);
  });

  test('of another tenant is not there', async () => {
    const { id, links } = await run(JOB);
    const zeta = { authorization: 'Bearer zeta-key' };
    expect((await send('GET', links.self, undefined, zeta)).status).toBe(404);
    expect((await send('POST', links.cancel, undefined, zeta)).status).toBe(404);
    expect((await send('DELETE', links.self, undefined, zeta)).status).toBe(404);
    const list = (await (await send('GET', '/v1/jobs', undefined, zeta)).json()) as { data: JobView[] };
    expect(list.data.map((job) => job.id)).not.toContain(id);
    expect((await send('GET', links.self)).status).toBe(200);
  });
});

test('1,000 jobs in one call all run, and the wrong ones are named', async () => {
  const jobs = Array.from({ length: 1000 }, (_, n) =>
    n % 100 === 99 ? { model: TOPIC } : { ...JOB, input: `fish ${n}` },
  );
  const response = await send('POST', '/v1/jobs/bulk', { jobs }, { 'idempotency-key': 'e2e-bulk' });
  const answer = (await response.json()) as {
    accepted: number;
    refused: number;
    data: { job?: JobView; status: number }[];
  };
  expect([response.status, answer.accepted, answer.refused]).toEqual([200, 990, 10]);
  expect(answer.data[99]?.status).toBe(422);
  const ids = answer.data.flatMap(({ job }) => job?.id ?? []);
  const views = await Promise.all(ids.map(async (id) => (await send('GET', `/v1/jobs/${id}?wait=60`)).json()));
  expect(new Set(views.map((view) => (view as JobView).status))).toEqual(new Set(['completed']));
});

test('the list pages through everything once, newest first', async () => {
  const zeta = { authorization: 'Bearer zeta-key' };
  const sent: string[] = [];
  for (let n = 0; n < 7; n += 1) {
    const response = await send('POST', '/v1/jobs', { ...JOB, model: n % 2 ? TOPIC : EMBED }, zeta);
    sent.unshift(((await response.json()) as JobView).id);
  }
  const seen: string[] = [];
  let cursor = '';
  do {
    const page = await send('GET', `/v1/jobs?limit=3${cursor && `&cursor=${cursor}`}`, undefined, zeta);
    const body = (await page.json()) as { data: JobView[]; next_cursor: string | null };
    seen.push(...body.data.map((job) => job.id));
    cursor = body.next_cursor ?? '';
  } while (cursor !== '');
  expect([...seen].sort()).toEqual([...sent].sort());
  const topics = await send('GET', `/v1/jobs?model=${TOPIC}`, undefined, zeta);
  expect(((await topics.json()) as { data: unknown[] }).data).toHaveLength(3);
});

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
  return dot / (Math.hypot(...a) * Math.hypot(...b));
}
