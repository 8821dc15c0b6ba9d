/** What each token of a vocabulary means to the teacher: the mean of its vectors in texts (its passes alone, where none has it). */
import { ShoalError, type TextItem, type WireOutput } from '@shoal/contracts';
import { embeddingOutputs } from '@shoal/models';
import type { Answer } from '../teacher/ask-pages.js';
import type { Teacher } from './teacher.js';

export interface TokenMeans {
  /** [vocabulary, width] */
  readonly vectors: Float32Array;
  readonly width: number;
  /** Tokens that no text has. */
  readonly alone: number;
}

/** Texts that one token is looked at in: more change its mean by little (arXiv 2506.04624 has as many). */
const CONTEXTS = 100;

/** `texts` are those to look at; `items` their tokens as far as they are known. @throws ShoalError as the teacher does */
export async function tokenMeans(
  teacher: Teacher,
  texts: readonly string[],
  items: readonly TextItem[],
  onProgress: (share: number) => void = () => {},
): Promise<TokenMeans> {
  const { model, vocabulary } = teacher;
  const perToken = embeddingOutputs(model).tokens !== null;
  const contexts = new Uint32Array(vocabulary);
  let sums = new Float32Array();
  let width = 0;
  const add = (token: number, vector: Float32Array, from: number, size: number) => {
    if (width === 0) sums = new Float32Array(vocabulary * size);
    width = size;
    const to = token * size;
    for (let c = 0; c < size; c++) sums[to + c] = sums[to + c]! + vector[from + c]!;
    contexts[token] = contexts[token]! + 1;
  };
  const inText = ({ item, output }: Answer) => {
    const { values, dims } = vectorOf(output);
    for (const [n, token] of item.ids.entries()) {
      if (contexts[token]! < CONTEXTS) add(token, values, n * dims[1]!, dims[1]!);
    }
  };
  if (perToken) await teacher.ask(texts, inText, { parameters: EACH_TOKEN, keep: false, onProgress });
  const around = whatIsAround(items);
  const unseen = [...contexts.keys()].filter((token) => contexts[token] === 0);
  const questions = unseen.map((token) => ({ tokens: [...around.before, token, ...around.after] }));
  const byItself = ({ place, output }: Answer) => {
    const { values, dims } = vectorOf(output);
    const size = perToken ? dims[1]! : values.length;
    add(unseen[place]!, values, perToken ? around.before.length * size : 0, size);
  };
  await teacher.ask(questions, byItself, perToken ? { parameters: EACH_TOKEN, keep: false } : {});
  for (const [token, count] of contexts.entries()) {
    if (count < 2) continue;
    for (let c = token * width; c < (token + 1) * width; c++) sums[c] = sums[c]! / count;
  }
  return { vectors: sums, width, alone: unseen.length };
}

const EACH_TOKEN = { pooling: 'none', normalize: false };

/** The values of an embedding, or of one per token. @throws ShoalError where the output is none */
export function vectorOf(output: WireOutput): Extract<WireOutput, { kind: 'vector' }> {
  if (output.kind === 'vector') return output;
  throw new ShoalError('internal_error', `the teacher answered with ${output.kind}, not with a vector`);
}

/** The tokens that every text begins and ends with: special ones, and those of a prompt. */
export function whatIsAround(items: readonly TextItem[]): {
  readonly before: readonly number[];
  readonly after: readonly number[];
} {
  const [first] = items;
  if (first === undefined) return { before: [], after: [] };
  // At least one token of each text is its own.
  const most = items.reduce((least, { ids }) => Math.min(least, ids.length - 1), first.ids.length - 1);
  const same = (at: (ids: Uint32Array) => number | undefined) => items.every(({ ids }) => at(ids) === at(first.ids));
  let before = 0;
  while (before < most && same((ids) => ids[before])) before += 1;
  let after = 0;
  while (after < most - before && same((ids) => ids.at(-1 - after))) after += 1;
  return { before: [...first.ids.subarray(0, before)], after: [...first.ids.subarray(first.ids.length - after)] };
}
