/** Texts through a decoder, chunk by chunk behind what its cache has of them. */
import { join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { KvCache } from '@shoal/generation';
import { type DecoderInfo, type Model, readDecoderInfo } from '@shoal/models';
import type { Session, Tensor, Tensors } from '@shoal/onnxruntime';
import tokenizers from 'tokenizers';
import type { Examples } from '../types.js';
import { partsOf, someOf, type TextOptions, type Texts, withTokens } from './texts.js';

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
  const tokenizer = tokenizers.Tokenizer.fromFile(join(model.folder, 'tokenizer.json'));
  const encoded: Uint32Array[] = [];
  for (const text of someOf(examples.items.flatMap(partsOf))) {
    const ids = (await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds();
    if (ids.length > 0) encoded.push(Uint32Array.from(ids).subarray(0, Math.min(LONGEST, info.maxContext)));
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
  readonly #texts: readonly Uint32Array[];
  readonly #info: DecoderInfo;
  readonly #signal: AbortSignal;

  constructor(texts: readonly Uint32Array[], info: DecoderInfo, signal: AbortSignal) {
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
    const cache = new KvCache(session, this.#info, { rows: 1, capacity: this.#info.maxContext + chunk });
    const views = [...cache.views(0, 1)];
    const past = Object.fromEntries(views.map(([name, view]) => [`past_key_values.${name}`, view]));
    const present = Object.fromEntries(views.map(([name, view]) => [`present.${name}`, view]));
    const outputs = [...wanted, ...Object.keys(present)];
    for (const text of this.#texts) {
      for (let at = 0; at < text.length; at += chunk) {
        this.#signal.throwIfAborted();
        const feeds = feedsOf(session, text, { at, chunk, every });
        use(await session.run({ ...feeds, ...past }, { outputs, preallocated: present, signal: this.#signal }));
      }
    }
  }
}

interface Piece {
  readonly at: number;
  readonly chunk: number;
  readonly every: number;
}

function feedsOf(session: Session, text: Uint32Array, { at, chunk, every }: Piece): Record<string, Tensor> {
  const ids = text.subarray(at, at + chunk);
  const { length } = ids;
  const places = Array.from(ids, (_, n) => n);
  const takesLengths = session.inputs.some(({ name }) => name === 'rotary_lengths');
  return {
    input_ids: int64(ids, 1, length),
    position_ids: int64(
      places.map((n) => at + n),
      1,
      length,
    ),
    seqlens_k: { type: 'int32', dims: [1], data: Int32Array.of(at + length - 1) },
    total_sequence_length: { type: 'int32', dims: [1], data: Int32Array.of(length) },
    // The last token of a short piece stands for it, so that every text counts: the graph takes no empty list.
    logit_indices: chosen(places, every),
    log_sum_exp_indices: int64([], 0),
    top_k: int64([1], 1),
    ...(takesLengths && { rotary_lengths: int64([text.length], 1) }),
  };
}

function chosen(places: readonly number[], every: number): Tensor {
  const some = places.filter((n) => n % every === every - 1);
  const all = some.length > 0 ? some : places.slice(-1);
  return int64(all, all.length);
}

function int64(values: ArrayLike<number>, ...dims: number[]): Tensor {
  return { type: 'int64', dims, data: BigInt64Array.from(Array.from(values), BigInt) };
}
