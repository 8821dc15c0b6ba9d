/** From a text, token ids or a conversation to the tokens of a prompt. */
import { setImmediate as turn } from 'node:timers/promises';
import { type Conversation, ShoalError, type TextGenerationInput } from '@shoal/contracts';
import type { Element } from '../tasks/request.js';
import { type ChatTemplate, chatTemplate } from '../text/chat-template.js';
import { checkIds, encodeGroups, untokenisable } from '../text/encode-texts.js';
import { prefixOf, suffixOf } from '../text/prefix.js';
import type { TextTokenizer } from '../text/tokenizer.js';
import type { GeneratorDetails } from '../types.js';
import type { PromptLimits } from './settings.js';

/** Longest rendered conversation, in UTF-16 units: templates may repeat what they are given. */
const MAX_RENDERED = 4 * 1024 * 1024;

/** Parsed once for each model. */
const templates = new WeakMap<GeneratorDetails, ChatTemplate>();

type Prompt = Element<TextGenerationInput>;

interface Ids {
  readonly ids: Uint32Array;
}

/**
 * The tokens of each prompt. Texts get the special tokens that the tokenizer adds; templates write their own.
 *
 * @throws ShoalError `input_too_long`; `invalid_request` where tokens are outside the vocabulary, there is no template, or the
 * template refuses a conversation
 */
export async function encodePrompts(
  tokenizer: TextTokenizer,
  generator: GeneratorDetails,
  prompts: readonly Prompt[],
  limits: PromptLimits,
): Promise<readonly Uint32Array[]> {
  checkIds(
    prompts.map(({ path, value }) => ({ path, input: value })),
    generator.vocabulary,
  );
  const inTurn = takeTurns();
  const encoded = await encodeGroups(prompts, limits, async (prompt) => {
    const rendered = await renderPrompt(generator, prompt, inTurn);
    return encodePrompt(tokenizer, prompt.path, rendered, limits);
  });
  return encoded.map(({ ids }) => ids);
}

type Rendered = Exclude<TextGenerationInput, Conversation> | { readonly rendered: string };

async function renderPrompt(generator: GeneratorDetails, { path, value }: Prompt, inTurn: InTurn): Promise<Rendered> {
  if (typeof value !== 'object' || 'tokens' in value) return value;
  return { rendered: await inTurn(() => render(generator, value, path)) };
}

type InTurn = <T>(work: () => T) => Promise<T>;

/** Templates take the thread: each conversation of a request has a turn of the event loop, so that others get on between. */
function takeTurns(): InTurn {
  let next = Promise.resolve();
  return async (work) => {
    const mine = next;
    next = mine.then(() => turn());
    await mine;
    return work();
  };
}

async function encodePrompt(
  tokenizer: TextTokenizer,
  path: string,
  value: Rendered,
  limits: PromptLimits,
): Promise<Ids> {
  if (typeof value === 'object' && 'tokens' in value) return cut(Uint32Array.from(value.tokens), 0, limits);
  const chat = typeof value === 'object';
  const text = chat ? value.rendered : value;
  const ids = await encodeText(tokenizer, text, !chat, limits).catch((error: unknown) => {
    throw untokenisable(path, error);
  });
  if (ids.ids.length === 0) throw refusal(path, 'has no tokens');
  return ids;
}

async function encodeText(
  tokenizer: TextTokenizer,
  text: string,
  withSpecial: boolean,
  limits: PromptLimits,
): Promise<Ids> {
  const part = limits.truncate ? suffixOf : prefixOf;
  const few = await part(text, limits.maxTokens, async (some) => (await tokenizer.plainIds(some)).length);
  if (!withSpecial) return cut(await tokenizer.plainIds(few), 0, limits);
  const encoding = await tokenizer.encode(few, false);
  const leading = encoding.getSpecialTokensMask().indexOf(0);
  return cut(Uint32Array.from(encoding.getIds()), Math.max(0, leading), limits);
}

/** What came last counts most; the special tokens at the beginning stay. */
function cut(ids: Uint32Array, leading: number, { maxTokens, truncate }: PromptLimits): Ids {
  if (!truncate || ids.length <= maxTokens) return { ids };
  const kept = Math.min(leading, maxTokens);
  const end = ids.subarray(ids.length - (maxTokens - kept));
  return { ids: Uint32Array.from([...ids.subarray(0, kept), ...end]) };
}

function render(generator: GeneratorDetails, conversation: Conversation, path: string): string {
  const at = `${path}.messages`;
  if (generator.chatTemplate === null) throw refusal(at, 'this model has no chat template: send a text');
  try {
    const template = templates.get(generator) ?? chatTemplate(generator.chatTemplate, generator.specialTokens);
    templates.set(generator, template);
    return template.render(conversation, MAX_RENDERED);
  } catch (error) {
    const detail =
      error instanceof ShoalError ? (error.faults[0]?.message ?? error.message) : 'the chat template fails';
    throw refusal(at, detail, error);
  }
}

function refusal(path: string, message: string, cause?: unknown): ShoalError {
  return new ShoalError('invalid_request', `${path}: ${message}`, { faults: [{ path, message }], cause });
}
