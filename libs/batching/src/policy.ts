/** Which waiting items run together next. Pure: no clock, no queue. */
import type { CloseReason } from '@shoal/contracts';

export interface BatchLimits {
  /** Most items of one micro-batch. */
  readonly maxBatchSize: number;
  /** Most tokens of one micro-batch, padding included. */
  readonly maxBatchTokens: number;
  /** Longest time in ms that an item waits for company while another batch runs. */
  readonly maxDelayMs: number;
  /** Fixed cost of one micro-batch, in tokens (calibrate.ts): what padding is weighed against. */
  readonly passTokens: number;
}

export interface Candidate {
  /** Length in tokens. */
  readonly length: number;
  /** Place in the fair order: lower goes first. */
  readonly order: number;
  /** Only items of one group may share a forward pass. */
  readonly group: string;
  /** Must run with nothing else in flight. */
  readonly alone: boolean;
}

export interface Selection<T> {
  readonly items: readonly T[];
  /** The limit that stopped it from growing; null where there was nothing more worth adding. */
  readonly full: 'size' | 'tokens' | 'alone' | null;
}

/**
 * The next micro-batch: the item that is first in the fair order, and its neighbours by length. The first item always
 * runs, so nothing starves; neighbours by length need the least padding. Growing stops at the limits, and where all of the
 * batch's padding would cost more than another batch: with lengths spread evenly, pass + padding per item is least where
 * both are equal. `waiting` is in order of arrival.
 */
export function selectBatch<T extends Candidate>(waiting: readonly T[], limits: BatchLimits): Selection<T> {
  const seed = firstInOrder(waiting);
  if (seed.alone) return { items: [seed], full: 'alone' };
  const pool = waiting.filter((item) => item.group === seed.group && !item.alone).sort(outwardsFrom(seed));
  let low = pool.indexOf(seed);
  let high = low + 1;
  let padding = 0;
  while (high - low < limits.maxBatchSize) {
    const size = high - low;
    const longest = pool[high - 1]!.length;
    const below = pool[low - 1];
    const above = pool[high];
    // One more short item is padded to the longest; one more long item pads all others to itself.
    const wasteBelow = below ? longest - below.length : Number.POSITIVE_INFINITY;
    const wasteAbove = above ? (above.length - longest) * size : Number.POSITIVE_INFINITY;
    padding += Math.min(wasteBelow, wasteAbove);
    if (padding > limits.passTokens) return { items: pool.slice(low, high), full: null };
    const takeAbove = wasteAbove < wasteBelow;
    if ((size + 1) * (takeAbove ? above!.length : longest) > limits.maxBatchTokens) {
      return { items: pool.slice(low, high), full: 'tokens' };
    }
    if (takeAbove) high++;
    else low--;
  }
  return { items: pool.slice(low, high), full: 'size' };
}

/** By length; of those that are equally long, who is first in the fair order stands next to the seed. */
function outwardsFrom(seed: Candidate): (a: Candidate, b: Candidate) => number {
  return (a, b) => a.length - b.length || (a.length < seed.length ? b.order - a.order : a.order - b.order);
}

/**
 * How far in the fair order a batch brings service: to its last item, unless one that comes before still waits, since
 * neighbours by length run before their turn. Whoever comes now is placed there, and not behind what waits.
 */
export function reachedWith(batch: readonly Candidate[], waiting: readonly Candidate[]): number {
  return Math.min(Math.max(...batch.map(({ order }) => order)), ...waiting.map(({ order }) => order));
}

/** The item that goes first; of two with the same place in the fair order, the one that arrived first. */
export function firstInOrder<T extends Candidate>(waiting: readonly T[]): T {
  return waiting.reduce((first, item) => (item.order < first.order ? item : first));
}

/** Why a batch stopped growing when it started to run. */
export function closeReason(full: Selection<unknown>['full'], delayed: boolean): CloseReason {
  return full ?? (delayed ? 'delay' : 'idle');
}

/** Share of a batch's tokens that is padding, 0 to 1. */
export function paddedShare(lengths: readonly number[]): number {
  const padded = Math.max(...lengths) * lengths.length;
  return padded === 0 ? 0 : 1 - lengths.reduce((sum, n) => sum + n, 0) / padded;
}
