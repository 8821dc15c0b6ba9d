/** Ranges of a file (RFC 9110, section 14): one at a time, in bytes. */

export interface Range {
  readonly first: number;
  /** Included. */
  readonly last: number;
}

/**
 * What a Range header asks of `size` bytes; null where all of it is to be sent, which is also for whatever is not one range of
 * bytes; undefined where it asks for nothing that is there.
 */
export function parseRange(header: string | undefined, size: number): Range | null | undefined {
  const match = /^bytes=(\d*)-(\d*)$/i.exec(header?.trim() ?? '');
  if (match === null) return null;
  const [, from = '', to = ''] = match;
  if (from === '') {
    if (to === '') return null;
    const count = Math.min(Number(to), size);
    return count === 0 ? undefined : { first: size - count, last: size - 1 };
  }
  const [first, last] = [Number(from), to === '' ? size - 1 : Math.min(Number(to), size - 1)];
  if (to !== '' && Number(to) < first) return null;
  return first < size ? { first, last } : undefined;
}

export interface Part<Piece> {
  readonly piece: Piece;
  /** Within the piece. */
  readonly range: Range;
}

/** The parts of pieces that lie one behind the other which make up a range of all. */
export function cut<Piece extends { readonly bytes: number }>(
  pieces: readonly Piece[],
  { first, last }: Range,
): Part<Piece>[] {
  const parts: Part<Piece>[] = [];
  let start = 0;
  for (const piece of pieces) {
    const range = { first: Math.max(0, first - start), last: Math.min(piece.bytes - 1, last - start) };
    if (range.first <= range.last) parts.push({ piece, range });
    start += piece.bytes;
  }
  return parts;
}
