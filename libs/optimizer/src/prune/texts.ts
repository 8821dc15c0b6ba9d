/** Texts of examples as the model reads them, and passes over them. */
import { TextPasses } from '@shoal/generation';
import { createModelFace, type DecoderInfo, loadRunner, type Model, type Row, type SessionTensor } from '@shoal/models';
import type { Session } from '@shoal/onnxruntime';
import { inputsIn, textsIn } from '../data/texts.js';
import { tokenIdsOf } from '../data/token-ids.js';
import type { Example, Examples } from '../types.js';

/** Texts that run together, neighbours by length. */
const BATCH = 16;
/** Tokens of a decoder's pass. */
const CHUNK = 128;
/** Examples that are tokenised at once. */
const PAGE = 250;

/** What a model reads: rows of micro-batches, or the tokens of each text. */
export type Encoded =
  | { readonly kind: 'rows'; readonly rows: readonly Row[]; readonly tokens: readonly number[] }
  | { readonly kind: 'ids'; readonly texts: readonly (readonly number[])[] };

/** The first of the examples, until they have about `most` tokens. @throws ShoalError where they cannot be read */
export async function encode(model: Model, { items }: Examples, most: number): Promise<Encoded> {
  if (model.task === 'text-generation') return { kind: 'ids', texts: await encodeIds(model, items, most) };
  const face = await createModelFace(model);
  const rows: Row[] = [];
  const tokens: number[] = [];
  let sum = 0;
  for (let from = 0; from < items.length && sum < most; from += PAGE) {
    const input = items.slice(from, from + PAGE).flatMap((example) => inputsIn(model.task, example));
    const encoded = await face.encode({ input, parameters: { truncate: true } });
    for (const [n, item] of encoded.items.entries()) {
      if (sum >= most) break;
      const { parameters } = encoded;
      rows.push({ item, parameters });
      tokens.push(encoded.tokens[n]!);
      sum += encoded.tokens[n]!;
    }
  }
  return { kind: 'rows', rows, tokens };
}

async function encodeIds(model: Model, items: readonly Example[], most: number): Promise<(readonly number[])[]> {
  const idsOf = tokenIdsOf(model.folder);
  const texts: (readonly number[])[] = [];
  let sum = 0;
  for (const text of items.flatMap(textsIn)) {
    if (sum >= most) break;
    const ids = (await idsOf(text)).slice(0, model.maxTokens ?? undefined);
    if (ids.length === 0) continue;
    texts.push(ids);
    sum += ids.length;
  }
  return texts;
}

export type Outputs = Readonly<Record<string, SessionTensor>>;

export interface PassOptions {
  /** Names of the outputs that `onPass` reads. */
  readonly outputs: readonly string[];
  readonly onPass: (outputs: Outputs) => void;
  /** Of a decoder. */
  readonly info: DecoderInfo | undefined;
  readonly signal: AbortSignal;
}

/**
 * Runs all texts through a session of a graph of this model.
 *
 * @throws ShoalError where one does not run; the signal's reason
 */
export async function runAll(model: Model, session: Session, encoded: Encoded, options: PassOptions): Promise<void> {
  if (encoded.kind === 'rows') await runRows(model, session, encoded, options);
  else await runIds(session, encoded.texts, options);
}

async function runRows(
  model: Model,
  session: Session,
  { rows, tokens }: Extract<Encoded, { kind: 'rows' }>,
  { onPass, signal }: PassOptions,
): Promise<void> {
  const watched = {
    async run(...args: Parameters<Session['run']>) {
      const outputs = await session.run(...args);
      onPass(outputs);
      return outputs;
    },
    release: () => session.release(),
  };
  const runner = loadRunner(model, watched, { rows: 'any-length', reason: null });
  const order = rows.map((_, n) => n).sort((a, b) => tokens[a]! - tokens[b]!);
  for (let at = 0; at < order.length; at += BATCH) {
    signal.throwIfAborted();
    const answers = await runner.run(order.slice(at, at + BATCH).map((n) => rows[n]!));
    const failed = answers.find((answer) => answer instanceof Error);
    if (failed !== undefined) throw failed;
  }
}

/** Each text by itself, in passes of up to CHUNK tokens, with its past in the cache. */
async function runIds(
  session: Session,
  texts: readonly (readonly number[])[],
  { outputs, onPass, info, signal }: PassOptions,
): Promise<void> {
  if (info === undefined) throw new RangeError('the graph does not say how it generates');
  const longest = texts.reduce((most, { length }) => Math.max(most, length), 0);
  const passes = new TextPasses(session, info, Math.max(longest, info.window) + CHUNK);
  for (const text of texts) {
    for (let from = 0; from < text.length; from += CHUNK) {
      signal.throwIfAborted();
      const length = Math.min(CHUNK, text.length - from);
      onPass(await passes.read(text, { from, length }, { outputs, signal }));
    }
  }
}
