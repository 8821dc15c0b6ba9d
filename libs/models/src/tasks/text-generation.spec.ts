import { type GeneratedText, MAX_RESULT_BYTES, ShoalError } from '@shoal/contracts';
import tokenizers from 'tokenizers';
import { beforeAll, describe, expect, test } from 'vitest';
import { createModelFace } from '../model-face.js';
import { openRepository } from '../repository/repository.js';
import { loadRunner } from '../runner.js';
import { BUNDLED_MODELS } from '../testing/model-folder.js';
import type { EncodeRequest, Model, ModelFace } from '../types.js';

let model: Model;
let lm: ModelFace;
let tokenizer: tokenizers.Tokenizer;
beforeAll(async () => {
  const { models } = await openRepository(BUNDLED_MODELS);
  model = models.find(({ name }) => name === 'wordnet-lm')!;
  lm = await createModelFace(model, () => 0.5);
  tokenizer = tokenizers.Tokenizer.fromFile(`${model.folder}/tokenizer.json`);
});

const messages = [{ role: 'user', content: 'Define oak (noun).' }];
const CONTEXT = 256;

async function idsOf(text: string, addSpecialTokens = true): Promise<number[]> {
  return (await tokenizer.encode(text, null, { addSpecialTokens })).getIds();
}

async function promptsOf(request: EncodeRequest, face = lm): Promise<number[][]> {
  const { items } = await face.encode(request);
  return items.map((item) => (item.kind === 'prompt' ? [...item.ids] : []));
}

async function failure(request: EncodeRequest, face = lm): Promise<ShoalError> {
  const error: unknown = await face.encode(request).catch((thrown: unknown) => thrown);
  if (error instanceof ShoalError) return error;
  throw new Error('expected a ShoalError');
}

const faultsOf = ({ faults }: ShoalError) => faults.map(({ path }) => path);

describe('a prompt', () => {
  test('is a text, token ids or a conversation, alone or in a list', async () => {
    const text = await idsOf('Define oak');
    const chat = await idsOf('<|user|>\nDefine oak (noun).<|end|>\n<|assistant|>\n', false);
    expect(await promptsOf({ input: 'Define oak' })).toEqual([text]);
    expect(await promptsOf({ input: { messages } })).toEqual([chat]);
    expect(await promptsOf({ input: ['Define oak', { tokens: [5, 6] }, { messages }] })).toEqual([text, [5, 6], chat]);
    expect((await lm.encode({ input: ['a'] })).array).toBe(true);
  });

  test('of several choices is an item each, in groups', async () => {
    const { items, groups, answers } = await lm.encode({
      input: [{ tokens: [5] }, { tokens: [6, 7] }],
      parameters: { n: 2 },
    });
    const ids = (...values: number[]) => Uint32Array.from(values);
    expect(items).toEqual([
      { kind: 'prompt', ids: ids(5), choice: 0 },
      { kind: 'prompt', ids: ids(5), choice: 1 },
      { kind: 'prompt', ids: ids(6, 7), choice: 0 },
      { kind: 'prompt', ids: ids(6, 7), choice: 1 },
    ]);
    expect(groups).toEqual([2, 2]);
    expect(answers).toEqual([CONTEXT - 1, CONTEXT - 1, CONTEXT - 2, CONTEXT - 2]);
    expect((await lm.encode({ input: 'a' })).groups).toBeUndefined();
  });

  test('that leaves no room for the answer is refused with both numbers', async () => {
    const tokens = (length: number) => ({ tokens: Array.from({ length }, () => 5) });
    const long = await failure({ input: tokens(256) });
    expect([long.code, long.message]).toEqual([
      'input_too_long',
      expect.stringContaining('input: has 256 tokens, prompt and answer may have 256 together'),
    ]);
    const both = await failure({ input: [tokens(56), tokens(57)], parameters: { max_tokens: 200 } });
    expect([both.code, faultsOf(both)]).toEqual(['input_too_long', ['input[1]']]);
    expect(both.message).toContain('has 57 tokens, max_tokens is 200, and prompt and answer may have 256 together');
    expect((await lm.encode({ input: tokens(255) })).answers).toEqual([1]);
    expect((await lm.encode({ input: tokens(256), parameters: { max_tokens: 0, echo: true } })).answers).toEqual([0]);
  });

  test('loses its beginning where that is asked for', async () => {
    const parameters = { truncate: true, max_tokens: 250 };
    const input = `${'one two '.repeat(100_000)}Define oak`;
    const whole = await idsOf('two one two Define oak', false);
    expect(await promptsOf({ input: [input, { tokens: [1, 2, 3, 4, 5, 6, 7] }], parameters })).toEqual([
      whole.slice(-6),
      [2, 3, 4, 5, 6, 7],
    ]);
    expect((await lm.encode({ input, parameters: { truncate: true } })).answers).toEqual([CONTEXT / 4]);
  });

  test('is refused where the template refuses it, or there is none', async () => {
    const generator = { ...model.generator!, chatTemplate: '{{ raise_exception("turns must alternate") }}' };
    const strict = await createModelFace({ ...model, generator }, () => 0);
    const refused = await failure({ input: [{ messages }] }, strict);
    expect([refused.code, faultsOf(refused)]).toEqual(['invalid_request', ['input[0].messages']]);
    expect(refused.message).toContain('turns must alternate');
    const plain = await createModelFace({ ...model, generator: { ...generator, chatTemplate: null } }, () => 0);
    expect((await failure({ input: { messages } }, plain)).message).toContain('no chat template: send a text');
  });
});

describe('parameters', () => {
  test('are told with every default in its place', async () => {
    const { parameters } = await lm.encode({
      input: 'a',
      parameters: {
        top_k: -1,
        stop: 'x',
        logit_bias: { 7: -100 },
        stop_token_ids: [3],
        logprobs: 2,
        temperature: null,
      },
    });
    expect(parameters).toEqual({
      ...{ max_tokens: CONTEXT, min_tokens: 0, n: 1, temperature: 1, top_p: 1, top_k: 0, min_p: 0 },
      ...{ frequency_penalty: 0, presence_penalty: 0, repetition_penalty: 1, logit_bias: [[7, -100]] },
      ...{ seed: 2 ** 31, stop: ['x'], stop_token_ids: [3], logprobs: 2, echo: false, ignore_eos: false },
      ...{ include_stop_str_in_output: false, skip_special_tokens: true },
    });
    expect((await lm.encode({ input: 'a', parameters: { seed: -1 } })).parameters.seed).toBe(2 ** 32 - 1);
  });

  test.each([
    ['parameters.max_tokens', { max_tokens: 256 }],
    ['parameters.min_tokens', { max_tokens: 5, min_tokens: 6 }],
    ['parameters.logit_bias.4096', { logit_bias: { 4096: 1 } }],
    ['parameters.logit_bias.x', { logit_bias: { x: 1 } }],
    ['parameters.stop_token_ids[1]', { stop_token_ids: [1, 4096] }],
    ['parameters.temperature', { temperature: 3 }],
    ['parameters.stop', { stop: ['a', 'b', 'c', 'd', 'e'] }],
  ])('%s is named where it is at fault', async (path, parameters) => {
    const error = await failure({ input: 'a', parameters });
    expect([error.code, faultsOf(error)]).toEqual(['invalid_request', [path]]);
  });

  test('ask for no more answers than a job has, and no more bytes', async () => {
    const many = await failure({ input: Array.from({ length: 8 }, () => 'a'), parameters: { n: 126 } });
    expect([many.code, faultsOf(many)]).toEqual(['invalid_request', ['parameters.n']]);
    const parameters = { logprobs: 20, n: 100 };
    const large = await failure({ input: ['a', 'b'], parameters: { ...parameters, max_tokens: 200 } });
    expect(large.code).toBe('result_too_large');
    const { resultBytes } = await lm.encode({ input: ['a', 'b'], parameters: { ...parameters, max_tokens: 64 } });
    expect(resultBytes).toBeLessThan(MAX_RESULT_BYTES);
    expect(resultBytes).toBeGreaterThan(200 * 64 * 2 * 20 * 8);
  });

  test('that say nothing of the length of many answers get them as long as a result has room for', async () => {
    const lengths = async (parameters: object) => {
      const { resultBytes, answers, parameters: settings } = await lm.encode({ input: ['a', 'b'], parameters });
      expect(resultBytes).toBeLessThanOrEqual(MAX_RESULT_BYTES);
      expect(Math.max(...answers!)).toBeLessThanOrEqual(Number(settings.max_tokens));
      return Number(settings.max_tokens);
    };
    expect(await lengths({ n: 100 })).toBe(CONTEXT);
    const many = await lengths({ n: 100, logprobs: 20 });
    expect(many).toBeLessThan(200);
    expect(many).toBeGreaterThan(100);
    const few = await failure({ input: ['a', 'b'], parameters: { n: 100, logprobs: 20, min_tokens: 200 } });
    expect(few.code).toBe('result_too_large');
  });
});

describe('an answer', () => {
  const answer = async (text: string): Promise<GeneratedText> => {
    const ids = Uint32Array.from(await idsOf(text, false));
    return { kind: 'generation', ids, text, finish: 'stop', stopped: null, cachedTokens: 2, accepted: 0, rejected: 0 };
  };
  const shape = async (request: EncodeRequest) => await lm.encode(request);

  test('is its text with why it ended, and a list where there are several', async () => {
    const output = await answer(' a tree');
    const shown = {
      ...{ text: ' a tree', finish_reason: 'stop', stop_reason: null },
      tokens: { cached: 2, completion: output.ids.length },
    };
    expect(lm.present(await shape({ input: 'oak' }), [{ output }]).output).toEqual(shown);
    const two = await shape({ input: ['oak', 'elm'], parameters: { n: 2 } });
    const error = { code: 'inference_failed', title: '', detail: '', retryable: false } as const;
    const partly = lm.present(two, [{ output }, { output }, { output }, { error }]);
    expect(partly).toEqual({ output: [[shown, shown], null], errors: [{ ...error, index: 1 }] });
  });

  test('begins with its prompt where that is echoed, special tokens left out unless they are asked for', async () => {
    const output = {
      ...(await answer(' a tree')),
      promptIds: Uint32Array.from([0, ...(await idsOf('Käse 🐟', false))]),
    };
    const textOf = async (parameters: object) =>
      (lm.present(await shape({ input: 'a', parameters }), [{ output }]).output as { text: string }).text;
    expect(await textOf({ echo: true })).toBe('Käse 🐟 a tree');
    expect(await textOf({ echo: true, skip_special_tokens: false })).toBe('<|endoftext|>Käse 🐟 a tree');
  });

  test('tells each token with the likeliest ones in its place', async () => {
    const [oak = 0] = await idsOf(' oak', false);
    const one = {
      values: Float32Array.of(-0.1),
      top: 1,
      topIds: Uint32Array.of(oak),
      topValues: Float32Array.of(-0.1),
    };
    const output: GeneratedText = {
      ...(await answer(' oak')),
      ...{ ids: Uint32Array.of(oak), logprobs: { ...one, values: Float32Array.of(-Infinity) } },
      ...{ promptIds: Uint32Array.of(oak), promptLogprobs: { ...one, values: Float32Array.of(NaN) } },
    };
    const token = { id: oak, token: Buffer.from(lm.tokens!.bytesOf(oak)).toString() };
    const { output: shown } = lm.present(await shape({ input: 'a', parameters: { logprobs: 1 } }), [{ output }]);
    expect(shown).toMatchObject({
      logprobs: [{ ...token, logprob: -9999, top: [{ ...token, logprob: -0.1 }] }],
      prompt_logprobs: [{ ...token, logprob: null, top: [] }],
    });
  });

  test('with log probabilities of many tokens, and many answers that are long, are made as they are read', async () => {
    const ids = new Uint32Array(40_000);
    const likely = new Float32Array(40_000);
    const logprobs = { values: likely, top: 1, topIds: ids, topValues: likely };
    const long: GeneratedText = { ...(await answer('')), ids, text: 'x'.repeat(2 ** 17), logprobs };
    const one = lm.present(await shape({ input: 'a', parameters: { logprobs: 1 } }), [{ output: long }]).output;
    const read = (one as { logprobs: Iterable<unknown> }).logprobs;
    const token = { id: 0, token: '<|endoftext|>', logprob: 0 };
    expect(read).not.toBeInstanceOf(Array);
    for (const first of read) {
      expect(first).toEqual({ ...token, top: [token] });
      break;
    }
    const two = lm.present(await shape({ input: 'a', parameters: { n: 2 } }), [{ output: long }, { output: long }]);
    expect(two.output).not.toBeInstanceOf(Array);
    expect([...(two.output as Iterable<unknown>)]).toHaveLength(2);
  });
});

test('no forward pass answers a prompt', () => {
  const session = { run: async () => ({}), release: async () => {} };
  expect(() => loadRunner(model, session)).toThrow('text-generation is not one forward pass');
});

test('the card has the context, and a request in the words of both APIs', () => {
  const card = lm.card('http://here');
  expect(card).toMatchObject({ task: 'text-generation', max_model_len: CONTEXT, limits: { max_tokens: CONTEXT } });
  expect(card.example.request).toEqual({ model: 'wordnet-lm', input: { messages }, parameters: { max_tokens: 64 } });
  expect(card.example.openai_curl).toContain('http://here/v1/chat/completions');
});
