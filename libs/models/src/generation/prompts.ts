/** From a text, token ids or a conversation to the tokens of a prompt. */
import { type Conversation, ShoalError, type TextGenerationInput } from '@shoal/contracts';
import type { Element } from '../tasks/request.js';
import { checkIds, encodeGroups, untokenisable } from '../text/encode-texts.js';
import { prefixOf, suffixOf } from '../text/prefix.js';
import { TemplateClient } from '../text/template-client.js';
import { MAX_TEXT, type TextTokenizer } from '../text/tokenizer.js';
import type { GeneratorDetails } from '../types.js';
import type { PromptLimits } from './settings.js';

/** Longest rendered conversation, in UTF-16 units: templates may repeat what they are given, and what is cut may be longer. */
const MAX_RENDERED = 4 * MAX_TEXT;

/** One for each model. */
const templates = new WeakMap<GeneratorDetails, TemplateClient>();

type Prompt = Element<TextGenerationInput>;

interface Ids {
  readonly ids: Uint32Array;
}

/**
 * The tokens of each prompt. Texts get the special tokens that the tokenizer adds; templates write their own.
 *
 * @throws ShoalError `input_too_long`; `invalid_request` where tokens are outside the vocabulary, there is no template, or the
 * template refuses a conversation; `inference_failed` where it does not end
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
  const encoded = await encodeGroups(prompts, limits, async (prompt) => {
    const rendered = await renderPrompt(generator, prompt);
    return encodePrompt(tokenizer, prompt.path, rendered, limits);
  });
  return encoded.map(({ ids }) => ids);
}

type Rendered = Exclude<TextGenerationInput, Conversation> | { readonly rendered: string };

async function renderPrompt(generator: GeneratorDetails, { path, value }: Prompt): Promise<Rendered> {
  if (typeof value !== 'object' || 'tokens' in value) return value;
  const at = `${path}.messages`;
  const template = templateOf(generator);
  if (template === null) throw refusal(at, 'this model has no chat template: send a text');
  const rendered = await template.render(value, MAX_RENDERED);
  if ('refused' in rendered) throw refusal(at, rendered.refused);
  return { rendered: rendered.text };
}

function templateOf(generator: GeneratorDetails): TemplateClient | null {
  const { chatTemplate: source, specialTokens } = generator;
  if (source === null) return null;
  const template = templates.get(generator) ?? new TemplateClient({ source, specialTokens });
  templates.set(generator, template);
  return template;
}

/**
 * Renders a short conversation with the model's chat template, if it has one; that the template refuses it says nothing.
 *
 * @throws ShoalError `model_invalid` where the template does not end, or takes too much memory
 */
export async function tryTemplate(generator: GeneratorDetails): Promise<void> {
  const messages = [{ role: 'user' as const, content: 'Hello' }];
  await templateOf(generator)
    ?.render({ messages }, MAX_RENDERED)
    .catch((error: Error) => {
      throw new ShoalError('model_invalid', `${error.message} (of a conversation of one word)`, { cause: error });
    });
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

function refusal(path: string, message: string): ShoalError {
  return new ShoalError('invalid_request', `${path}: ${message}`, { faults: [{ path, message }] });
}
