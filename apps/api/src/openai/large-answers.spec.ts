import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { WireOutput } from '@shoal/contracts';
import { fakeFace } from '@shoal/intake/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ChatChunkSchema, ChatCompletionSchema, CompletionSchema } from '../openapi/text-answers.js';
import { fakeGenerator } from '../testing/fake-generator.js';
import { startTestApi, type TestApi } from '../testing/start.js';
import { checkedChunks } from '../testing/text-events.js';

/** 128 answers of 9 tokens with 20 alternatives each: some 2 MB of JSON, for which each token is looked up once. */
const MANY = { n: 128, store: true };
const CHAT = {
  ...MANY,
  model: 'chat',
  messages: [{ role: 'user', content: 'Where do fish swim?' }],
  logprobs: true,
  top_logprobs: 20,
};
const COMPLETION = { ...MANY, model: 'chat', prompt: Array(7).fill('Where?'), logprobs: 5, echo: true };
const LOOKED_UP = 128 * 9 * 21;

let api: TestApi;
let lookUps = 0;
const sockets: Socket[] = [];

beforeEach(async () => {
  const { tokens, ...face } = fakeGenerator('chat');
  const bytesOf = (id: number) => {
    lookUps += 1;
    return tokens!.bytesOf(id);
  };
  const faces = [{ ...face, tokens: { ...tokens!, bytesOf } }, fakeFace('embed', 'feature-extraction')];
  api = await startTestApi({ faces });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await api.close();
});

/** Token look-ups while `call` is answered: all of them, and most in one turn of the event loop. */
async function lookUpsOf(call: () => Promise<string>) {
  let [all, most] = [0, 0];
  const count = () => {
    all += lookUps;
    most = Math.max(most, lookUps);
    lookUps = 0;
    timer = setImmediate(count);
  };
  lookUps = 0;
  let timer = setImmediate(count);
  const body = await call();
  clearImmediate(timer);
  return { body, all: all + lookUps, most };
}

test.each([
  ['a chat answer', '/v1/chat/completions', CHAT, ChatCompletionSchema, 128],
  ['completions', '/v1/completions', COMPLETION, CompletionSchema, 7 * 128],
])('%s with all its log probabilities is made a part a turn, also when it is read again', async (...given) => {
  const [, path, ask, schema, choices] = given;
  const made = await lookUpsOf(async () => (await api.request('POST', path, ask)).text());
  const whole = schema.parse(JSON.parse(made.body));
  expect(whole.choices).toHaveLength(choices);
  expect(made.most).toBeLessThan(made.all / 10);
  const read = await lookUpsOf(async () => (await api.request('GET', `${path}/${whole.id}`)).text());
  expect(read.body).toBe(made.body);
  expect(read.most).toBeLessThan(read.all / 10);
});

test('a stream of a large answer is made a part a turn', async () => {
  const { id } = ChatCompletionSchema.parse(await (await api.request('POST', '/v1/chat/completions', CHAT)).json());
  const streamed = await lookUpsOf(async () => {
    const response = await api.request('GET', `/v1/chat/completions/${id}?stream=true`);
    return response.text();
  });
  expect(checkedChunks(ChatChunkSchema, streamed.body).length).toBeGreaterThan(128);
  expect(streamed.all).toBe(LOOKED_UP);
  expect(streamed.most).toBeLessThan(streamed.all / 10);
});

test('nothing of a large answer is made before it is the tenant’s turn', async () => {
  const stalled = await Promise.all([stall(), stall()]);
  lookUps = 0;
  let answered = false;
  const answer = api.request('POST', '/v1/chat/completions', { ...CHAT, store: false }).then((response) => {
    answered = true;
    return response.json();
  });
  await expect.poll(() => api.store.states()).toContain('completed');
  // A small one, that came later, does not wait.
  const small = { ...CHAT, n: 1, logprobs: false, top_logprobs: null };
  expect((await api.request('POST', '/v1/chat/completions', small)).status).toBe(200);
  expect([answered, lookUps]).toEqual([false, 0]);
  stalled[0]!.destroy();
  expect(ChatCompletionSchema.parse(await answer).choices).toHaveLength(128);
  expect(lookUps).toBe(LOOKED_UP);
  expect(api.logged).toEqual([]);
});

/** Takes one of the tenant's two places for large results: asks for 16 MB, and reads nothing. */
async function stall(): Promise<Socket> {
  const body = { model: 'embed', input: ['a', 'b'] };
  const { id } = (await (await api.request('POST', '/v1/jobs', body)).json()) as { id: string };
  const output: WireOutput = { kind: 'vector', values: new Float32Array(2_000_000).fill(0.5), dims: [2_000_000] };
  for (const result of (await api.store.get('default', id)).results) Object.assign(result!, { output });
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => undefined).pause();
  socket.write(`GET /v1/jobs/${id} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await once(socket, 'readable');
  return socket;
}
