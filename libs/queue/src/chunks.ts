/** How items become slices of a job and slices become chunks (what BullMQ carries). Pure functions. */
import type { Priority, WireItem } from '@shoal/contracts';

/** Most items of one chunk; with 64 an item in bulk costs 45 µs of CPU time in all, with 32 68 µs, alone 300 (docs/benchmarks.md). */
export const MAX_CHUNK_ITEMS = 64;

/** A job's priority as the fair order counts it: within a tenant's share lower ranks come first. */
export const RANKS: Readonly<Record<Priority, number>> = { high: 1, normal: 2, low: 3 };

/** A run of one job's items, in the order of their lengths, that always travels in one chunk. */
export interface Slice {
  readonly first: number;
  readonly items: readonly WireItem[];
  readonly lengths: readonly number[];
  readonly tokens: number;
  /** Tokens of its answer that it is charged for; 0 where there is none. */
  readonly answer: number;
}

/** Whose turn a chunk is: what came of a better rank after it had got its tag, in tokens ÷ weight, goes before it. */
export interface Turn {
  readonly tenant: string;
  readonly rank: number;
  readonly overtaken: number;
}

/** The data of a BullMQ job. `tag` is its start tag in fair queueing, by which the virtual time advances. */
export interface Chunk {
  readonly tag: number;
  readonly slices: readonly (readonly [ulid: string, slice: number])[];
  /** Left out for the best rank, which nothing overtakes. */
  readonly turn?: Turn;
}

/**
 * Item numbers by length, shortest first: a job's items are stored in this order, so that neighbours, which travel
 * together, need little padding.
 */
export function byLength(tokens: readonly number[]): number[] {
  return tokens.map((_, index) => index).sort((a, b) => tokens[a]! - tokens[b]! || a - b);
}

/** Cuts items (in storage order) into slices of at most 64 items and `maxTokens` tokens; a longer item travels alone. */
export function cutSlices(items: readonly WireItem[], lengths: readonly number[], maxTokens: number): Slice[] {
  const slices: Slice[] = [];
  let first = 0;
  let tokens = 0;
  const close = (end: number) => {
    slices.push({ first, items: items.slice(first, end), lengths: lengths.slice(first, end), tokens, answer: 0 });
    first = end;
    tokens = 0;
  };
  lengths.forEach((length, n) => {
    if (n > first && (n - first === MAX_CHUNK_ITEMS || tokens + length > maxTokens)) close(n);
    tokens += length;
  });
  close(lengths.length);
  return slices;
}

/** Items that are generated from, each a slice of its own: they end at different times, and each may go on elsewhere. */
export function singleSlices(
  items: readonly WireItem[],
  lengths: readonly number[],
  answers: readonly number[],
): Slice[] {
  return items.map((item, n) => {
    const length = lengths[n]!;
    return { first: n, items: [item], lengths: [length], tokens: length, answer: answers[n]! };
  });
}

/** An admitted slice, and where admission put it in the fair order. */
export interface PlacedSlice {
  readonly tag: number;
  readonly priority: number;
  readonly overtaken: number;
  readonly ulid: string;
  readonly slice: number;
  /** It is a chunk of its own. */
  readonly alone: boolean;
  readonly tenant: string;
  readonly rank: number;
  readonly count: number;
  readonly tokens: number;
}

/** Joins slices of one tenant and rank into chunks of at most 64 items and `maxTokens` tokens; lengths stay together. */
export function formChunks(slices: readonly PlacedSlice[], maxTokens: number): { chunk: Chunk; priority: number }[] {
  const ordered = [...slices].sort((a, b) => {
    if (a.tenant !== b.tenant) return a.tenant < b.tenant ? -1 : 1;
    return a.rank - b.rank || a.tokens / a.count - b.tokens / b.count || a.tag - b.tag;
  });
  const groups: PlacedSlice[][] = [];
  let items = 0;
  let tokens = 0;
  for (const slice of ordered) {
    const group = groups.at(-1);
    const [first] = group ?? [];
    const alike = first?.tenant === slice.tenant && first.rank === slice.rank && !first.alone && !slice.alone;
    if (group && alike && items + slice.count <= MAX_CHUNK_ITEMS && tokens + slice.tokens <= maxTokens) {
      group.push(slice);
      items += slice.count;
      tokens += slice.tokens;
    } else {
      groups.push([slice]);
      items = slice.count;
      tokens = slice.tokens;
    }
  }
  return groups.map((group) => ({ chunk: chunkOf(group), priority: Math.min(...group.map((s) => s.priority)) }));
}

function chunkOf(group: readonly PlacedSlice[]): Chunk {
  const { tenant, rank } = group[0]!;
  const overtaken = Math.min(...group.map((s) => s.overtaken));
  return {
    tag: Math.min(...group.map((s) => s.tag)),
    slices: group.map((s) => [s.ulid, s.slice] as const),
    ...(rank > RANKS.high && { turn: { tenant, rank, overtaken } }),
  };
}
