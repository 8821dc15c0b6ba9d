/** Classifiers of tokens: which entities they find. */
import type { TokenClassificationEntity } from '@shoal/contracts';
import { badData } from '../data/bad-data.js';
import type { Context, Entity, Examples } from '../types.js';
import { chunksOf, inLockstep, type Sides } from './sides.js';
import type { Quality } from './types.js';

interface Found {
  readonly hits: number;
  /** Entities that were found and that there are, together. */
  readonly total: number;
}

interface Counts extends Found {
  readonly wanted: number;
}

/**
 * F1 over all texts of entities with the right place and label: of the examples, or where they have none of those that the
 * original finds.
 */
export async function compareEntities(sides: Sides, { items }: Examples, context: Context): Promise<Quality> {
  const [before, after]: [Counts[], Counts[]] = [[], []];
  const texts = items.map((item) => ('text' in item ? item.text : ''));
  for await (const chunk of inLockstep(sides, chunksOf(texts), context)) {
    const original = chunk.original.shown<readonly TokenClassificationEntity[]>();
    const candidate = chunk.candidate.shown<readonly TokenClassificationEntity[]>();
    for (const [n, found] of original.entries()) {
      const item = items[before.length]!;
      const wanted = item.kind === 'entities' ? item.entities : found;
      before.push(counted(wanted, found));
      after.push(counted(wanted, candidate[n]!));
    }
  }
  const entities = wantedOf(before);
  if (entities === 0) throw badData('there are no entities in the texts, so that nothing tells whether any is lost');
  return {
    losses: { f1: { values: lossesOf(before, after), answer: Math.max(1, before.length / entities) } },
    figures: { F1: { original: f1(before), candidate: f1(after) } },
  };
}

function counted(wanted: readonly Entity[], found: readonly Entity[]): Counts {
  const keyOf = ({ start, end, label }: Entity) => `${start} ${end} ${label}`;
  const keys = new Set(wanted.map(keyOf));
  const given = new Set(found.map(keyOf));
  return { hits: [...given].filter((key) => keys.has(key)).length, wanted: keys.size, total: keys.size + given.size };
}

function wantedOf(counts: readonly Counts[]): number {
  return counts.reduce((sum, { wanted }) => sum + wanted, 0);
}

/** 1 where there is nothing to be found, and nothing was. */
function f1(counts: readonly Found[]): number {
  const [hits, total] = sumsOf(counts);
  return total === 0 ? 1 : (2 * hits) / total;
}

function sumsOf(counts: readonly Found[]): readonly [hits: number, total: number] {
  return [counts.reduce((sum, { hits }) => sum + hits, 0), counts.reduce((sum, { total }) => sum + total, 0)];
}

/**
 * What each text does to the difference of the two F1, whose mean is that difference. F1 is no mean over texts but a ratio of
 * sums, so that this is its linear part: influence functions, as the infinitesimal jackknife has them (Efron and
 * Tibshirani 1993, chapter 22).
 */
export function lossesOf(before: readonly Found[], after: readonly Found[]): readonly number[] {
  const difference = f1(before) - f1(after);
  const influence = (counts: readonly Found[]) => {
    const [own, total] = [f1(counts), sumsOf(counts)[1] / counts.length];
    return counts.map(({ hits, total: ofText }) => (total === 0 ? 0 : (2 * hits - own * ofText) / total));
  };
  const [first, second] = [influence(before), influence(after)];
  return before.map((_, n) => difference + first[n]! - second[n]!);
}
