import { ShoalError } from '@shoal/contracts';
import { fakeFace } from '@shoal/intake/testing';
import OpenAI from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { OpenAiErrorSchema } from '../openapi/openai-answers.js';
import { ChatChunkSchema, ChatCompletionSchema } from '../openapi/text-answers.js';
import { fakeGenerator } from '../testing/fake-generator.js';
import { startTestApi, type TestApi } from '../testing/start.js';
import { checkedChunks, errorAtEnd } from '../testing/text-events.js';

let api: TestApi;
afterEach(() => api.close());

const FACES = [
  fakeGenerator('chat'),
  fakeGenerator('base', { template: false }),
  fakeFace('embed', 'feature-extraction'),
];

async function start(options: Parameters<typeof startTestApi>[0] = {}): Promise<OpenAI> {
  api = await startTestApi({ faces: FACES, ...options });
  return new OpenAI({ baseURL: `${api.url}/v1`, apiKey: 'key', maxRetries: 0 });
}

const ASK = { model: 'chat', messages: [{ role: 'user' as const, content: 'Where do fish swim?' }] };
const WHOLE = ' Fish swim in shoals.€';

async function post(body: object): Promise<Response> {
  return api.request('POST', '/v1/chat/completions', body);
}

async function answer(body: object) {
  return ChatCompletionSchema.parse(await (await post({ ...ASK, ...body })).json());
}

/** Has each text grow and end as soon as somebody follows it. */
function play(tokens = 9): void {
  api.store.immediate = false;
  api.store.onWait = () => {
    const id = api.store.ids().at(-1)!;
    const { items } = api.store.submitted.at(-1)!;
    for (let n = 0; n < tokens; n++) for (const index of items.keys()) api.store.grow(id, index, 1);
    for (const index of items.keys()) api.store.complete(id, index);
  };
}

async function stream(body: object) {
  const response = await post({ ...ASK, stream: true, ...body });
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
  return checkedChunks(ChatChunkSchema, await response.text());
}

describe('POST /v1/chat/completions', () => {
  test('answers through the openai client, and leaves no job behind', async () => {
    const client = await start();
    const { data, response, request_id } = await client.chat.completions.create(ASK).withResponse();
    expect(data.choices[0]?.message).toEqual({ role: 'assistant', content: WHOLE, refusal: null });
    expect(data.choices[0]?.finish_reason).toBe('stop');
    expect(data.usage).toMatchObject({
      prompt_tokens: 5,
      completion_tokens: 9,
      total_tokens: 14,
      prompt_tokens_details: { cached_tokens: 2 },
      completion_tokens_details: { accepted_prediction_tokens: 3, rejected_prediction_tokens: 1 },
    });
    expect(response.headers.get('x-request-id')).toBe(request_id);
    await expect.poll(() => api.store.states()).toEqual([]);
  });

  test('has the shape that OpenAI says', async () => {
    await start();
    const { id, object, model, created } = await answer({ n: 2, logprobs: true, top_logprobs: 2 });
    expect([object, model, created]).toEqual(['chat.completion', 'chat', 1_767_225_600]);
    expect(id).toMatch(/^chatcmpl-chat\.1\./);
  });

  test('gives n answers, and counts their prompt once', async () => {
    await start();
    const { choices, usage } = await answer({ n: 3 });
    expect(choices.map(({ index, message }) => [index, message.content.slice(0, 5)])).toEqual([
      [0, ' Fish'],
      [1, ' Whal'],
      [2, ' Crab'],
    ]);
    expect(usage).toMatchObject({
      prompt_tokens: 5,
      completion_tokens: 27,
      prompt_tokens_details: { cached_tokens: 2 },
    });
  });

  test('tells log probabilities with the bytes of each token, also where it is half a character', async () => {
    await start();
    const { choices } = await answer({ logprobs: true, top_logprobs: 2 });
    const content = choices[0]!.logprobs!.content;
    expect(content[0]).toEqual({
      token: ' Fish',
      logprob: -0.1,
      bytes: [...Buffer.from(' Fish')],
      top_logprobs: [
        expect.objectContaining({ token: ' Fish', logprob: -0.1 }),
        expect.objectContaining({ logprob: -1.1 }),
      ],
    });
    expect(content[6]).toMatchObject({ token: '\uFFFD', bytes: [0xe2, 0x82] });
    expect((await answer({ logprobs: true })).choices[0]?.logprobs?.content[0]?.top_logprobs).toEqual([]);
    expect((await answer({})).choices[0]?.logprobs).toBeNull();
  });

  test.each([
    ['a stop string', { stop: ' in' }, ' Fish swim', 'stop', ' in'],
    ['one of several', { stop: ['x', 'sho'] }, ' Fish swim in ', 'stop', 'sho'],
    ['the most tokens', { max_completion_tokens: 2, max_tokens: 7 }, ' Fish swim', 'length', null],
    ['the most tokens, as they were called', { max_tokens: 3 }, ' Fish swim in', 'length', null],
  ])('ends at %s', async (_, body, content, finish_reason, stop_reason) => {
    await start();
    const { choices } = await answer(body);
    expect(choices[0]).toMatchObject({ message: { content }, finish_reason, stop_reason });
  });

  test('takes null for "not given" wherever a field may be left out', async () => {
    await start();
    const names = ['n', 'stop', 'max_tokens', 'max_completion_tokens', 'logprobs', 'top_logprobs', 'stream', 'tools'];
    const more = [
      'stream_options',
      'temperature',
      'logit_bias',
      'response_format',
      'audio',
      'store',
      'metadata',
      'seed',
    ];
    const unset = Object.fromEntries(
      [...names, ...more, 'tool_choice', 'user', 'modalities'].map((name) => [name, null]),
    );
    expect((await answer(unset)).choices[0]?.message.content).toBe(WHOLE);
  });

  test('takes what clients of vLLM and llama.cpp send, and hands it on', async () => {
    await start();
    const extras = { top_k: 5, min_p: 0.1, repetition_penalty: 1.1, ignore_eos: true, min_tokens: 2 };
    const more = { stop_token_ids: [4], include_stop_str_in_output: true, skip_special_tokens: false, seed: 3 };
    const template = {
      chat_template_kwargs: { deep: true },
      add_generation_prompt: true,
      continue_final_message: false,
    };
    await answer({ ...extras, ...more, ...template, priority: -1, logit_bias: { 7: -100 } });
    expect(api.store.submitted[0]?.meta.parameters).toMatchObject({ ...extras, ...more, logit_bias: [[7, -100]] });
    expect(api.store.submitted[0]?.meta.priority).toBe('high');
  });

  test('passes over what it does not know, and counts it', async () => {
    await start();
    expect((await answer({ brand_new: 1, another: {}, user: 'u', service_tier: 'auto' })).choices).toHaveLength(1);
    const metrics = await api.registry.metrics();
    expect(metrics).toContain('shoal_unknown_fields_total{route="/v1/chat/completions"} 2');
  });

  test('joins the text parts of a message, and tells the template of tools unless they are not to be used', async () => {
    await start();
    const content = [
      { type: 'text', text: 'Where do ' },
      { type: 'text', text: 'fish swim?' },
    ];
    const tools = [{ type: 'function', function: { name: 'look' } }];
    const tokens = async (body: object) => (await answer(body)).usage.prompt_tokens;
    expect(await tokens({ messages: [{ role: 'user', content }] })).toBe(5);
    expect(await tokens({ tools })).toBeGreaterThan(5);
    expect(await tokens({ tools, tool_choice: 'none' })).toBe(5);
  });
});

describe('a chat stream', () => {
  test('tells the role, what comes, the end, and what it took, in this order', async () => {
    await start();
    play();
    const chunks = await stream({ stream_options: { include_usage: true } });
    const told = chunks.map(({ choices: [choice], usage }) =>
      choice ? [choice.delta, choice.finish_reason, usage] : usage,
    );
    expect(told).toEqual([
      [{ role: 'assistant', content: '' }, null, null],
      ...[' Fish', ' swim', ' in', ' sho', 'als', '.', '€'].map((content) => [{ content }, null, null]),
      [{}, 'stop', null],
      expect.objectContaining({ prompt_tokens: 5, completion_tokens: 9 }),
    ]);
    for (const key of ['id', 'created', 'model', 'system_fingerprint'] as const) {
      expect(new Set(chunks.map((chunk) => chunk[key])).size, key).toBe(1);
    }
    await expect.poll(() => api.store.states()).toEqual([]);
  });

  test('has no event with usage, and no ids, where they were not asked for', async () => {
    await start();
    play();
    const body = await (await post({ ...ASK, stream: true })).text();
    expect(body).not.toContain('usage');
    expect(body).not.toContain('id: ');
  });

  test('is the same text whatever of it was in pieces', async () => {
    await start();
    for (const tokens of [0, 1, 4, 9]) {
      play(tokens);
      for (const logprobs of [false, true]) {
        const chunks = await stream({ n: 2, logprobs });
        for (const index of [0, 1]) {
          const mine = chunks.flatMap(({ choices }) => choices.filter((choice) => choice.index === index));
          const text = mine.map(({ delta }) => delta.content ?? '').join('');
          expect(text).toBe(index === 0 ? WHOLE : ' Whales swim in shoals.€');
          expect(mine.flatMap((choice) => choice.logprobs?.content ?? [])).toHaveLength(logprobs ? 9 : 0);
          expect(mine.map(({ finish_reason }) => finish_reason).filter(Boolean)).toEqual(['stop']);
          expect(mine.filter(({ delta }) => delta.role)).toHaveLength(1);
        }
      }
    }
  });

  test('works with the stream helpers of the openai client', async () => {
    const client = await start();
    play();
    const runner = client.chat.completions.stream({ ...ASK, stream_options: { include_usage: true } });
    const deltas: string[] = [];
    runner.on('content', (delta) => deltas.push(delta));
    const whole = await runner.finalChatCompletion();
    expect(whole.choices[0]?.message.content).toBe(WHOLE);
    expect(deltas.join('')).toBe(WHOLE);
    expect((await runner.totalUsage()).completion_tokens).toBe(9);
  });

  test('frees the row when its reader hangs up', async () => {
    const client = await start();
    api.store.immediate = false;
    api.store.onWait = () => api.store.grow(api.store.ids()[0]!, 0, 1);
    for await (const chunk of await client.chat.completions.create({ ...ASK, stream: true })) {
      if (chunk.choices[0]?.delta.content) break;
    }
    await expect.poll(() => api.store.states()).toEqual([]);
    expect(api.store.cancelled).toHaveLength(1);
  });

  test('that fails in the middle tells why, then ends', async () => {
    const client = await start();
    api.store.immediate = false;
    api.store.onWait = () => {
      const [id] = api.store.ids();
      api.store.grow(id!, 0, 2);
      api.store.finish(id!, new ShoalError('inference_failed', 'the model gave no number'));
    };
    expect(errorAtEnd(await (await post({ ...ASK, stream: true })).text())).toEqual({
      message: 'the model gave no number',
      type: 'server_error',
      param: null,
      code: 'inference_failed',
    });
    await expect.poll(() => api.store.states()).toEqual([]);
    const call = async () => {
      for await (const _ of await client.chat.completions.create({ ...ASK, stream: true }));
    };
    await expect(call()).rejects.toThrow('the model gave no number');
  });
});

describe('what is refused, with the field that is at fault', () => {
  test.each([
    ['no messages', { messages: [] }, 'messages'],
    [
      'a picture',
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] },
      'messages[0].content[0].type',
    ],
    ['sound', { audio: { voice: 'x' } }, 'audio'],
    ['modalities beside text', { modalities: ['text', 'audio'] }, 'modalities[1]'],
    ['a forced call', { tools: [], tool_choice: 'required' }, 'tool_choice'],
    ['a named call', { tool_choice: { type: 'function', function: { name: 'x' } } }, 'tool_choice'],
    ['JSON', { response_format: { type: 'json_object' } }, 'response_format.type'],
    ['a grammar', { guided_regex: 'a+' }, 'guided_regex'],
    ['old functions', { functions: [] }, 'functions'],
    ['129 answers', { n: 129 }, 'n'],
    ['a wild temperature', { temperature: 2.1 }, 'temperature'],
    ['five stops', { stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop'],
    ['21 alternatives', { logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
    ['alternatives without log probabilities', { top_logprobs: 2 }, 'top_logprobs'],
    ['a bias of a word', { logit_bias: { fish: 1 } }, 'logit_bias.fish'],
    ['no token', { max_tokens: 0 }, 'max_tokens'],
    ['a model of another task', { model: 'embed' }, 'model'],
    ['a conversation that is too long', { messages: [{ role: 'user', content: 'a '.repeat(99) }] }, 'messages'],
  ])('%s', async (_, changes, param) => {
    await start();
    const response = await post({ ...ASK, ...changes });
    const { error } = OpenAiErrorSchema.parse(await response.json());
    expect([response.status, error.type, error.param]).toEqual([400, 'invalid_request_error', param]);
    expect(api.store.submitted).toEqual([]);
  });

  test('a conversation for a model without a chat template: there is another path for it', async () => {
    const client = await start();
    const error = await client.chat.completions.create({ ...ASK, model: 'base' }).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error.message).toContain('/v1/completions');
  });

  test('more than the queue takes: 429, and when to come again', async () => {
    const client = await start();
    api.store.failure = new ShoalError('queue_full', 'later', { retryAfter: 3 });
    const error = await client.chat.completions.create({ ...ASK, stream: true }).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    expect(error.headers.get('retry-after')).toBe('3');
  });
});
