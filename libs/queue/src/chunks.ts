/** How items become slices of a job and slices become chunks (what BullMQ carries). Pure functions. */
import type { WireItem } from '@shoal/contracts';

/** Most items of one chunk; with 64 an item in bulk costs 45 µs of CPU time in all, with 32 68 µs, alone 300 (docs/benchmarks.md). */
export const MAX_CHUNK_ITEMS = 64;

/** A run of one job's items, in the order of their lengths, that always travels in one chunk. */
export interface Slice {
  readonly first: number;
  readonly items: readonly WireItem[];
  readonly lengths: readonly number[];
  readonly tokens: number;
}

export interface SliceRef {
  readonly ulid: string;
  readonly slice: number;
}

/** The data of a BullMQ job. `tag` is its start tag in fair queueing, by which the virtual time advances. */
export interface Chunk {
  readonly tag: number;
  readonly slices: readonly (readonly [ulid: string, slice: number])[];
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
    slices.push({ first, items: items.slice(first, end), lengths: lengths.slice(first, end), tokens });
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

/** An admitted slice with its place in the fair order. */
export interface PlacedSlice extends SliceRef {
  readonly owner: string;
  readonly count: number;
  readonly tokens: number;
  readonly tag: number;
  readonly priority: number;
}

/** Joins slices of one owner into chunks of at most 64 items and `maxTokens` tokens; lengths stay together. */
export function formChunks(slices: readonly PlacedSlice[], maxTokens: number): { chunk: Chunk; priority: number }[] {
  const ordered = [...slices].sort((a, b) => {
    if (a.owner !== b.owner) return a.owner < b.owner ? -1 : 1;
    return a.tokens / a.count - b.tokens / b.count || a.tag - b.tag;
  });
  const groups: PlacedSlice[][] = [];
  let items = 0;
  let tokens = 0;
  for (const slice of ordered) {
    const group = groups.at(-1);
    const fits =
      group?.[0]?.owner === slice.owner && items + slice.count <= MAX_CHUNK_ITEMS && tokens + slice.tokens <= maxTokens;
    if (group && fits) {
      group.push(slice);
      items += slice.count;
      tokens += slice.tokens;
    } else {
      groups.push([slice]);
      items = slice.count;
      tokens = slice.tokens;
    }
  }
  return groups.map((group) => ({
    chunk: { tag: Math.min(...group.map((s) => s.tag)), slices: group.map((s) => [s.ulid, s.slice] as const) },
    priority: Math.min(...group.map((s) => s.priority)),
  }));
}
