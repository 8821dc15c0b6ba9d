/** text-generation: a prompt or conversation → an answer, or `n` of them. Its run is an engine's: it takes many passes. */
import {
  type GeneratedAnswer,
  type GenerationSettings,
  MAX_ITEMS,
  MAX_RESULT_BYTES,
  type PromptItem,
  ShoalError,
  TextGenerationInput,
  TextGenerationParameters,
  type WireOutput,
} from '@shoal/contracts';
import { throwFaults } from '../faults.js';
import { encodePrompts } from '../generation/prompts.js';
import { promptLimits, settingsOf } from '../generation/settings.js';
import { showAnswer } from '../generation/show-answer.js';
import { LazyList } from '../lazy-list.js';
import { isLargeOutput } from '../result-size.js';
import { untokenisable } from '../text/encode-texts.js';
import { prefixOf } from '../text/prefix.js';
import type { TokenTexts } from '../text/token-texts.js';
import type { TextTokenizer } from '../text/tokenizer.js';
import type { GeneratorDetails, Model } from '../types.js';
import { type ApiModel, type Encoded, outputOfKind, type Parameters, type TaskFace } from './pipeline.js';
import { checkRequest } from './request.js';

/** Of an answer beside its tokens, in bytes. */
const OVERHEAD_BYTES = 256;
/** Of a token: its id, and more text than most have. */
const TOKEN_BYTES = 16;
/** The result, and the pieces of it that are kept until it is there. */
const COPIES = 2;

async function encode(
  { model: { name, generator }, tokenizer, random }: ApiModel,
  input: unknown,
  given: unknown,
): Promise<Encoded> {
  if (generator === null || tokenizer === null) throw new ShoalError('internal_error', `${name} generates no text`);
  const schemas = { element: TextGenerationInput, parameters: TextGenerationParameters };
  const { elements, parameters, array } = checkRequest(schemas, input, given);
  const { n } = parameters;
  if (elements.length * n > MAX_ITEMS) {
    throwFaults([
      { path: 'parameters.n', message: `one job has at most ${MAX_ITEMS} answers, not ${elements.length * n}` },
    ]);
  }
  const asked = settingsOf(parameters, generator, random);
  const prompts = await encodePrompts(tokenizer, generator, elements, promptLimits(parameters, generator));
  const prediction = await predicted(tokenizer, parameters.prediction, generator);
  const items = prompts.flatMap((ids) =>
    Array.from({ length: n }, (_, choice): PromptItem => ({ kind: 'prompt', ids, choice, ...prediction })),
  );
  const settings = parameters.max_tokens === undefined ? withRoom(asked, items) : asked;
  const answers = items.map(({ ids }) => Math.min(settings.max_tokens, generator.maxContext - ids.length));
  return {
    parameters: { ...settings },
    items,
    tokens: items.map(({ ids }) => ids.length),
    array,
    ...(n > 1 && { groups: prompts.map(() => n) }),
    answers,
    resultBytes: items.reduce((sum, { ids }, at) => sum + answerBytes(settings, ids.length, answers[at]!), 0),
  };
}

/** No more of it than an answer can have. */
async function predicted(
  tokenizer: TextTokenizer,
  text: string | undefined,
  { maxContext: most, vocabulary }: GeneratorDetails,
): Promise<Pick<PromptItem, 'prediction'>> {
  if (text === undefined) return {};
  const count = async (some: string) => (await tokenizer.plainIds(some)).length;
  const ids = await prefixOf(text, most, count)
    .then((few) => tokenizer.plainIds(few))
    .then((all) => all.slice(0, most))
    .catch((error: unknown) => {
      throw untokenisable('parameters.prediction', error);
    });
  // A tokenizer may know tokens that the model does not.
  const unknown = ids.findIndex((id) => id >= vocabulary);
  return { prediction: unknown < 0 ? ids : ids.slice(0, unknown) };
}

/** Answers that nobody has limited are as long as the result of one job has room for, not refused for what they could take. */
function withRoom(settings: GenerationSettings, items: readonly PromptItem[]): GenerationSettings {
  const left = items.reduce((sum, { ids }) => sum - answerBytes(settings, ids.length, 0), MAX_RESULT_BYTES);
  const room = Math.floor(left / (items.length * COPIES * tokenBytes(settings)));
  return { ...settings, max_tokens: Math.min(settings.max_tokens, Math.max(room, settings.min_tokens, 1)) };
}

function answerBytes(settings: GenerationSettings, prompt: number, answer: number): number {
  const echoed = settings.echo ? prompt * (4 + likelyBytes(settings)) : 0;
  return OVERHEAD_BYTES + COPIES * answer * tokenBytes(settings) + echoed;
}

function tokenBytes(settings: GenerationSettings): number {
  return TOKEN_BYTES + likelyBytes(settings);
}

function likelyBytes({ logprobs }: GenerationSettings): number {
  return logprobs === null ? 0 : 4 + logprobs * 8;
}

/** One answer, or a list of them where a prompt has several. */
function present(
  _model: Model,
  parameters: Parameters,
  outputs: readonly WireOutput[],
  tokens: TokenTexts | null,
): GeneratedAnswer | Iterable<GeneratedAnswer> {
  const settings = parameters as Parameters & GenerationSettings;
  const show = (n: number) => showAnswer(outputOfKind(outputs[n], 'generation'), settings, tokens);
  if (settings.n === 1) return show(0);
  const answers = LazyList.of(outputs.length, show);
  return isLargeOutput(outputs) ? answers : [...answers];
}

export const textGeneration = { encode, present } satisfies TaskFace;
