/**
 * What a language model is taught: what the original expects behind each token of a text. Texts are read
 * as a whole, without a cache. The original's answers are as wide as its vocabulary, too much to be kept: it reads each batch
 * beside the model that learns.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { float32, graphFrom, openServed } from '@shoal/importer';
import { type Model as Graph, GraphBuilder, saveModel } from '@shoal/onnx';
import type { Runtime, Session, Tensor, Tensors } from '@shoal/onnxruntime';
import type { Loss } from '@shoal/training';
import type { Parts } from '../prune/edits.js';
import { encode } from '../prune/texts.js';
import type { Context, Subject } from '../types.js';
import type { Lesson } from './types.js';

/** Tokens of a piece of text: attention costs their square, and what is learnt within so many holds for longer texts too. */
export const LONGEST = 128;
/** Tokens that are read of the texts to learn from. */
const MOST_TOKENS = 2_000_000;

/**
 * By the original's answers alone, at temperature 1 (as Minitron: Muralidharan et al. 2024): they say more of a token than the one that does
 * come. What is known of learning both: docs/optimizing.md.
 */
const LOSSES: readonly Loss[] = [{ kind: 'kl', output: 'logits', teacher: 'teacher', temperature: 1 }];

/** The graph of whole texts of a language model: see `GraphOrder.whole`. @throws ShoalError where it cannot be had */
export function wholeGraph({ original: { folder } }: Subject, { config, checkpoint }: Parts): Graph {
  return graphFrom({ folder, config, checkpoint, precision: float32, whole: true });
}

/** @throws ShoalError `invalid_request` where the texts have no token that follows another; as the original fails */
export async function decoderLesson(subject: Subject, { runtime, signal }: Context): Promise<Lesson> {
  const { original, data } = subject;
  // Not of what training begins from, which another method may have made.
  const taughtBy = openServed(original.folder, original.variants[original.variant]!);
  const encoded = await encode(original, data.calibration, MOST_TOKENS);
  const pieces = encoded.kind === 'ids' ? encoded.texts.flatMap(piecesOf) : [];
  if (pieces.length === 0) {
    throw new ShoalError('invalid_request', `${data.file} has no text to learn from with two tokens or more`);
  }
  const teacher = await openTeacher(runtime, wholeGraph(subject, taughtBy));
  return {
    examples: pieces.length,
    graphOf: (parts) => wholeGraph(subject, parts),
    losses: LOSSES,
    async batch(examples) {
      const texts = examples.map((n) => pieces[n]!);
      const feeds = feedsOf(texts);
      const answers = await teacher.run(feeds, { signal });
      return { feeds: { ...feeds, ...answers }, rows: rowsOf(texts) };
    },
    close: () => teacher.release(),
  };
}

/** A last token alone has nothing to be learnt from. */
function piecesOf(text: readonly number[]): readonly (readonly number[])[] {
  const starts = Array.from({ length: Math.ceil(text.length / LONGEST) }, (_, n) => n * LONGEST);
  return starts.map((from) => text.slice(from, from + LONGEST)).filter(({ length }) => length > 1);
}

/** [texts, longest], with padding on the right, which the graph leaves out. */
function feedsOf(texts: readonly (readonly number[])[]): Tensors {
  const width = Math.max(...texts.map(({ length }) => length));
  const tensor = (numberAt: (text: readonly number[], place: number) => number): Tensor => {
    const numbers = texts.flatMap((text) => Array.from({ length: width }, (_, place) => numberAt(text, place)));
    return { type: 'int64', dims: [texts.length, width], data: BigInt64Array.from(numbers, BigInt) };
  };
  return {
    input_ids: tensor((text, place) => text[place] ?? 0),
    attention_mask: tensor((text, place) => Number(place < text.length)),
  };
}

/** Tokens of all texts one behind the other. The last of each weighs nothing: what would follow there is not asked of any model. */
function rowsOf(texts: readonly (readonly number[])[]): Float32Array {
  return Float32Array.from(texts.flatMap(({ length }) => Array.from({ length }, (_, n) => Number(n < length - 1))));
}

/**
 * The original, giving probabilities of what may follow each token: float32 [tokens, vocabulary]. Changes `model`. By a file, since large
 * weights do not fit into bytes of one; it is gone once they are read, so that no end of the process leaves it.
 */
async function openTeacher(runtime: Runtime, model: Graph): Promise<Session> {
  const [logits] = model.graph.outputs.splice(0);
  const g = new GraphBuilder(model);
  const shares = g.within('teacher', () => g.op('Softmax', [logits!.name], { axis: -1 }));
  g.output('teacher', shares, 'float32', logits!.shape!);
  const folder = mkdtempSync(join(tmpdir(), 'shoal-teacher-'));
  try {
    const path = join(folder, 'model.onnx');
    saveModel(model, path);
    return await runtime.createSession(path, { intraOpThreads: 0 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
