/** Texts through a decoder, chunk by chunk behind what its cache has of them. */
import { ShoalError } from '@shoal/contracts';
import { TextPasses } from '@shoal/generation';
import { type DecoderInfo, type Model, readDecoderInfo } from '@shoal/models';
import type { Session, Tensors } from '@shoal/onnxruntime';
import { textsIn } from '../data/texts.js';
import { tokenIdsOf } from '../data/token-ids.js';
import type { Examples } from '../types.js';
import { someOf, type TextOptions, type Texts, withTokens } from './texts.js';

/** Tokens of one pass at most. */
const CHUNK = 128;
/** Tokens of a text that are read; what a model does with more is not known from a few texts. */
const LONGEST = 1024;
/** Numbers that one pass may put out: 64 MiB. */
const PASS_NUMBERS = 16 * 1024 * 1024;
/** Logits of all tokens together, which are kept in order to compare others with: 64 MiB. */
const KEPT_LOGITS = 16 * 1024 * 1024;

/** @throws ShoalError `model_invalid`, `invalid_request` */
export async function decoderTexts(model: Model, examples: Examples, options: TextOptions): Promise<Texts> {
  const path = model.variants[model.variant]!;
  const info = readDecoderInfo(path);
  if (info === undefined) throw new ShoalError('model_invalid', `${path} does not say how it generates`);
  const idsOf = tokenIdsOf(model.folder);
  const encoded: (readonly number[])[] = [];
  for (const text of someOf(examples.items.flatMap(textsIn))) {
    const ids = await idsOf(text);
    if (ids.length > 0) encoded.push(ids.slice(0, Math.min(LONGEST, info.maxContext)));
  }
  if (encoded.length === 0) {
    throw new ShoalError('invalid_request', 'the texts to learn from have no tokens: give texts that are not empty');
  }
  return new DecoderTexts(
    withTokens(encoded, ({ length }) => length, options.tokens),
    info,
    options.signal,
  );
}

class DecoderTexts implements Texts {
  readonly vocabulary: number;
  readonly tokens: number;
  readonly #texts: readonly (readonly number[])[];
  readonly #info: DecoderInfo;
  readonly #signal: AbortSignal;

  constructor(texts: readonly (readonly number[])[], info: DecoderInfo, signal: AbortSignal) {
    this.#texts = texts;
    this.#info = info;
    this.#signal = signal;
    this.vocabulary = info.vocabulary;
    this.tokens = texts.reduce((sum, { length }) => sum + length, 0);
  }

  get count(): number {
    return this.#texts.length;
  }

  async observe(
    session: Session,
    wanted: readonly string[],
    width: number,
    use: (outputs: Tensors) => void,
  ): Promise<void> {
    await this.#run(session, wanted, { width, every: 1 }, use);
  }

  async answers(session: Session, use: (answer: Float32Array) => void): Promise<void> {
    const every = Math.ceil((this.tokens * this.vocabulary) / KEPT_LOGITS);
    const options = { width: this.vocabulary, every };
    await this.#run(session, ['logits'], options, ({ logits }) => use(logits!.data as Float32Array));
  }

  /** Logits, and what else follows the last layer, are computed of every `every`th token. */
  async #run(
    session: Session,
    wanted: readonly string[],
    { width, every }: { readonly width: number; readonly every: number },
    use: (outputs: Tensors) => void,
  ): Promise<void> {
    const chunk = Math.min(CHUNK, Math.max(1, Math.floor(PASS_NUMBERS / Math.max(1, width))));
    const passes = new TextPasses(session, this.#info, this.#info.maxContext + chunk);
    const options = { outputs: wanted, signal: this.#signal };
    for (const text of this.#texts) {
      for (let from = 0; from < text.length; from += chunk) {
        this.#signal.throwIfAborted();
        const length = Math.min(chunk, text.length - from);
        // The last token of a short piece stands for it, so that every text counts.
        const some = Array.from({ length }, (_, n) => n).filter((n) => n % every === every - 1);
        use(await passes.read(text, { from, length, wanted: some }, options));
      }
    }
  }
}
