/** A model that generates text without weights: words are tokens, and every answer is that fish swim in shoals. */
import {
  type GeneratedText,
  type GenerationSettings,
  type PromptItem,
  parse,
  ShoalError,
  TextGenerationInput,
  TextGenerationParameters,
  type TextPiece,
  type WireLogprobs,
} from '@shoal/contracts';
import { fakeModel, fault } from '@shoal/intake/testing';
import type { EncodedInput, EncodeRequest, Model, ModelFace } from '@shoal/models';

/** Longest prompt and answer together. */
const CONTEXT = 64;
const END = 0;
/** By id. The last two of the answer are one character in two parts. */
const VOCABULARY: Uint8Array[] = [Buffer.alloc(0)];
const EURO = Buffer.from('€');
const SUBJECTS = [' Fish', ' Whales', ' Crabs'].map(idOf);
const ANSWER = [
  ...[' swim', ' in', ' sho', 'als', '.'].map(idOf),
  add(EURO.subarray(0, 2)),
  add(EURO.subarray(2)),
  END,
];

/** `template`: false where the model has no chat template. */
export function fakeGenerator(name: string, { template = true } = {}): ModelFace {
  const model: Model = {
    ...fakeModel(name, 'text-generation', '1'),
    generator: {
      ...{ maxContext: CONTEXT, vocabulary: 1000, eosTokenIds: [END], specialTokens: {} },
      chatTemplate: template ? 'of its own' : null,
      sampling: { temperature: 0, top_p: 1, top_k: 0, min_p: 0, repetition_penalty: 1 },
    },
  };
  return {
    model,
    tokens: {
      bytesOf: (id) => VOCABULARY[id] ?? Buffer.alloc(0),
      textOf: (ids) => textOf([...ids]),
    },
    encode: async (request) => encode(name, template, request),
    present: ({ array, groups }, results) => {
      const texts = results.map((result) => (result?.output?.kind === 'generation' ? shown(result.output) : null));
      let at = 0;
      const output = (groups ?? texts.map(() => 1)).map((size) => {
        at += size;
        return size === 1 ? texts[at - 1] : texts.slice(at - size, at);
      });
      return { output: array ? output : output[0], errors: [] };
    },
    card: () => ({
      id: name,
      object: 'model',
      created: model.created,
      owned_by: 'shoal',
      task: model.task,
      version: '1',
      variants: ['default'],
      joining: null,
      limits: { max_tokens: CONTEXT, max_items: 1000, max_batch_size: null, max_batch_tokens: null },
      example: { request: { model: name, input: 'Where do fish swim?' }, curl: 'curl' },
    }),
  };
}

/** The pieces and the whole of an answer. */
export function fakeAnswer(
  item: PromptItem,
  settings: GenerationSettings,
): { pieces: TextPiece[]; whole: GeneratedText } {
  const ids: number[] = [];
  let text = '';
  let finish: GeneratedText['finish'] = 'length';
  let stopped: GeneratedText['stopped'] = null;
  const pieces: TextPiece[] = [];
  for (const id of [SUBJECTS[item.choice % SUBJECTS.length]!, ...ANSWER].slice(0, settings.max_tokens)) {
    const before = text;
    ids.push(id);
    text = textOf(ids);
    const stop = settings.stop.find((each) => text.includes(each));
    if (stop !== undefined) text = text.slice(0, text.indexOf(stop));
    if (stop !== undefined || id === END || settings.stop_token_ids.includes(id)) finish = 'stop';
    if (finish === 'stop') stopped = stop ?? (id === END ? null : id);
    const from = ids.length - 1;
    pieces.push({ from, ids: Uint32Array.of(id), text: text.slice(before.length), ...likely(settings, [id], from) });
    if (finish === 'stop') break;
  }
  const whole: GeneratedText = {
    ...{ kind: 'generation', ids: Uint32Array.from(ids), text, finish, stopped },
    ...{ cachedTokens: 2, accepted: 3, rejected: 1 },
    ...likely(settings, ids, 0),
    ...(settings.echo && { promptIds: item.ids }),
    ...(settings.echo && settings.logprobs !== null && { promptLogprobs: promptLogprobs(item.ids, settings.logprobs) }),
  };
  return { pieces, whole };
}

function encode(name: string, template: boolean, { input, task, parameters }: EncodeRequest): EncodedInput {
  if (task !== undefined && task !== 'text-generation') throw fault('task', `${name} serves text-generation`);
  const settings = settingsOf(parse(TextGenerationParameters, parameters ?? {}, ['parameters']));
  const array = Array.isArray(input);
  const prompts = (array ? input : [input]).map((element: unknown, index) => {
    const at = array ? ['input', index] : ['input'];
    const prompt = parse(TextGenerationInput, element, at);
    if (typeof prompt === 'object' && 'messages' in prompt && !template) {
      throw fault(`${array ? `input[${index}]` : 'input'}.messages`, 'this model has no chat template: send a text');
    }
    const ids = idsOf(prompt);
    if (ids.length <= CONTEXT) return ids;
    const path = array ? `input[${index}]` : 'input';
    const message = `has ${ids.length} tokens; the model takes ${CONTEXT}`;
    throw new ShoalError('input_too_long', `${path}: ${message}`, { faults: [{ path, message }] });
  });
  const items = prompts.flatMap((ids) =>
    Array.from({ length: settings.n }, (_, choice): PromptItem => ({ kind: 'prompt', ids, choice })),
  );
  return {
    task: 'text-generation',
    parameters: { ...settings },
    items,
    tokens: items.map(({ ids }) => ids.length),
    answers: items.map(() => settings.max_tokens),
    array,
    ...(settings.n > 1 && { groups: prompts.map(() => settings.n) }),
    resultBytes: items.length * 100,
  };
}

function settingsOf({
  max_tokens,
  logit_bias,
  seed,
  stop,
  stop_token_ids,
  logprobs,
  ...others
}: TextGenerationParameters) {
  return {
    ...others,
    max_tokens: max_tokens ?? CONTEXT,
    logit_bias: Object.entries(logit_bias ?? {}).map(([id, bias]) => [Number(id), bias] as const),
    seed: seed ?? 7,
    stop: stop === undefined ? [] : [stop].flat(),
    stop_token_ids: stop_token_ids ?? [],
    logprobs: logprobs ?? null,
  } satisfies GenerationSettings;
}

function idsOf(prompt: TextGenerationInput): Uint32Array {
  if (typeof prompt === 'object' && 'tokens' in prompt) return Uint32Array.from(prompt.tokens);
  const text = typeof prompt === 'string' ? prompt : rendered(prompt);
  return Uint32Array.from(text.match(/\s*\S+/g) ?? [], idOf);
}

function rendered({ messages, tools = [] }: Extract<TextGenerationInput, { messages: unknown }>): string {
  const texts = messages.map(({ role, content }) => {
    const text = typeof content === 'string' ? content : (content ?? []).map((part) => part.text).join('');
    return `${role}: ${text}`;
  });
  return [...tools.map((tool) => JSON.stringify(tool)), ...texts].join('\n');
}

/** Each token is a tenth less likely than the one before; the next best are the first of the vocabulary. */
function likely({ logprobs: top }: GenerationSettings, ids: readonly number[], from: number) {
  if (top === null) return {};
  const values = Float32Array.from(ids, (_, n) => -(from + n + 1) / 10);
  const logprobs: WireLogprobs = {
    values,
    top,
    topIds: Uint32Array.from(ids.flatMap((id) => Array.from({ length: top }, (_, k) => (k === 0 ? id : k)))),
    topValues: Float32Array.from([...values].flatMap((value) => Array.from({ length: top }, (_, k) => value - k))),
  };
  return { logprobs };
}

function promptLogprobs(ids: Uint32Array, top: number): WireLogprobs {
  const { logprobs } = likely({ logprobs: top } as GenerationSettings, [...ids], 0);
  logprobs!.values[0] = Number.NaN;
  return logprobs!;
}

function shown({ text, finish, stopped, ids, cachedTokens }: GeneratedText) {
  return {
    text,
    finish_reason: finish,
    stop_reason: stopped,
    tokens: { cached: cachedTokens, completion: ids.length },
  };
}

function textOf(ids: readonly number[]): string {
  const text = Buffer.concat(ids.map((id) => VOCABULARY[id]!)).toString();
  return text.replace(/\uFFFD+$/, '');
}

function idOf(word: string): number {
  const bytes = Buffer.from(word);
  const known = VOCABULARY.findIndex((each) => bytes.equals(each));
  return known < 0 ? add(bytes) : known;
}

function add(bytes: Uint8Array): number {
  return VOCABULARY.push(bytes) - 1;
}
