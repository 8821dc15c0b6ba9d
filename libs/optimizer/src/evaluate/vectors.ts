/** Embeddings: where texts lie, and what lies near what. */
import type { WireOutput } from '@shoal/contracts';
import { badData } from '../data/bad-data.js';
import type { Context, Example, Examples, Figure } from '../types.js';
import { DEPTH, ndcg, ndcgOfOne, ranksOfOwn, spearman } from './rankings.js';
import { type Chunk, chunksOf, inLockstep, type Sides } from './sides.js';
import type { PairedLosses, Quality } from './types.js';

/** Pairs of texts whose likeness is held against what the original finds of it. */
const LIKENESSES = 20_000;

interface Vectors {
  readonly original: readonly Float64Array[];
  readonly candidate: readonly Float64Array[];
}

/** By cosine, which is what vectors are searched by. */
export async function compareVectors(sides: Sides, examples: Examples, context: Context): Promise<Quality> {
  if (examples.kind === 'ranking') return await compareRankings(sides, examples, context);
  const vectors: { original: Float64Array[]; candidate: Float64Array[] } = { original: [], candidate: [] };
  for await (const chunk of inLockstep(sides, chunksOf(textsOf(examples)), context)) {
    vectors.original.push(...unitsOf(chunk.original.outputs));
    vectors.candidate.push(...unitsOf(chunk.candidate.outputs));
  }
  const cosines = cosinesOf(vectors);
  const base = { ...figuresOf(cosines), ...likenessOf(vectors, context.random) };
  const cosine = cosines && { cosine: { values: cosines.map((value) => 1 - value) } };
  if (examples.kind !== 'pair') return { losses: { ...cosine }, figures: base };
  const documents = examples.items.map((item) => (item.kind === 'pair' ? item.document : ''));
  const ranksIn = (all: readonly Float64Array[]) => {
    const [queries, found] = halvesOf(all);
    return ranksOfOwn(queries, found, documents, dot);
  };
  const ranks = { original: ranksIn(vectors.original), candidate: ranksIn(vectors.candidate) };
  const found = (rank: number) => Number(rank < DEPTH);
  const of = (score: (rank: number) => number) => paired(ranks.original.map(score), ranks.candidate.map(score));
  const [recall, gain] = [of(found), of(ndcgOfOne)];
  return {
    losses: { 'recall@10': recall.losses, 'ndcg@10': gain.losses, ...cosine },
    figures: { 'recall@10': recall.figure, 'nDCG@10': gain.figure, ...base },
  };
}

/** Query and documents of one ranking at a time. */
async function compareRankings(sides: Sides, { items }: Examples, context: Context): Promise<Quality> {
  const rankings = items as readonly Extract<Example, { kind: 'ranking' }>[];
  const chunks = rankings.map(({ query, documents }) => [query, ...documents.map(({ text }) => text)]);
  const [before, after, cosines]: [number[], number[], number[]] = [[], [], []];
  let comparable = true;
  for await (const chunk of inLockstep(sides, chunks, context)) {
    const vectors = vectorsOf(chunk);
    const grades = rankings[before.length]!.documents.map(({ grade }) => grade);
    before.push(ndcg(scoresOf(vectors.original), grades));
    after.push(ndcg(scoresOf(vectors.candidate), grades));
    const own = cosinesOf(vectors);
    comparable &&= own !== undefined;
    // A query's texts count together.
    if (own !== undefined) cosines.push(own.reduce((sum, value) => sum + value, 0) / own.length);
  }
  const gain = paired(before, after);
  const cosine = comparable && { cosine: { values: cosines.map((value) => 1 - value) } };
  return {
    losses: { 'ndcg@10': gain.losses, ...cosine },
    figures: { 'nDCG@10': gain.figure, ...figuresOf(comparable ? cosines : undefined) },
  };
}

/** Of pairs: every query, then every document. */
function textsOf({ items }: Examples): readonly string[] {
  const pairs = items.flatMap((item) => (item.kind === 'pair' ? [item] : []));
  if (pairs.length === 0) return items.map((item) => ('text' in item ? item.text : ''));
  return [...pairs.map(({ query }) => query), ...pairs.map(({ document }) => document)];
}

function halvesOf(vectors: readonly Float64Array[]): [readonly Float64Array[], readonly Float64Array[]] {
  return [vectors.slice(0, vectors.length / 2), vectors.slice(vectors.length / 2)];
}

function vectorsOf({ original, candidate }: Chunk<string>): Vectors {
  return { original: unitsOf(original.outputs), candidate: unitsOf(candidate.outputs) };
}

/** Of length 1, but for those of length 0. */
function unitsOf(outputs: readonly WireOutput[]): Float64Array[] {
  return outputs.map((output) => {
    if (output.kind !== 'vector') throw badData('the model gives no vectors');
    const length = Math.hypot(...output.values) || 1;
    return Float64Array.from(output.values, (value) => value / length);
  });
}

/** Undefined where the candidate's vectors have another length than the original's. */
function cosinesOf({ original, candidate }: Vectors): readonly number[] | undefined {
  if (original[0]?.length !== candidate[0]?.length) return undefined;
  return original.map((vector, n) => dot(vector, candidate[n]!));
}

function figuresOf(cosines: readonly number[] | undefined): Record<string, Figure> {
  if (cosines === undefined) return {};
  const mean = cosines.reduce((sum, value) => sum + value, 0) / cosines.length;
  const lowest = cosines.reduce((least, value) => Math.min(least, value), 1);
  return {
    'cosine, mean': { original: null, candidate: mean },
    'cosine, lowest': { original: null, candidate: lowest },
  };
}

/** Whether the candidate finds texts alike that the original finds alike: of pairs that are drawn. */
function likenessOf({ original, candidate }: Vectors, random: () => number): Record<string, Figure> {
  const draw = () => Math.floor(random() * original.length);
  const pairs = Array.from({ length: LIKENESSES }, () => [draw(), draw()] as const).filter(([a, b]) => a !== b);
  const likenesses = (vectors: readonly Float64Array[]) => pairs.map(([a, b]) => dot(vectors[a]!, vectors[b]!));
  const value = spearman(likenesses(original), likenesses(candidate));
  return { 'likeness, rank correlation': { original: null, candidate: Number.isNaN(value) ? 0 : value } };
}

/** Of the documents, the query being the first. */
function scoresOf([query, ...documents]: readonly Float64Array[]): readonly number[] {
  return documents.map((document) => dot(query!, document));
}

/** A score of each query that is better the higher it is. */
export function paired(
  before: readonly number[],
  after: readonly number[],
): { readonly losses: PairedLosses; readonly figure: Figure } {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    losses: { values: before.map((own, n) => own - after[n]!) },
    figure: { original: mean(before), candidate: mean(after) },
  };
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let n = 0; n < a.length; n++) sum += a[n]! * b[n]!;
  return sum;
}
