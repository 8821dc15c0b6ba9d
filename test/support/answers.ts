/** Pieces of answers as a generator would write them, and as followers get them. */
import type { TextPiece } from '@shoal/contracts';
import type { ClaimedItem, JobPiece, JobProgress, Written } from '@shoal/queue';

/** Tokens `from` to `to` of an answer: their numbers, and as their text too. */
export function pieceOf(from: number, to: number): TextPiece {
  const ids = Uint32Array.from({ length: to - from }, (_, n) => from + n);
  return { from, ids, text: [...ids].map((id) => `${id} `).join('') };
}

export function written(item: ClaimedItem, from: number, to = from + 1): Written {
  return { item, piece: pieceOf(from, to) };
}

/** Every look until the job has ended. */
export async function collect(looks: AsyncGenerator<JobProgress, void>): Promise<JobProgress[]> {
  const all: JobProgress[] = [];
  for await (const look of looks) all.push(look);
  return all;
}

export function piecesOf(looks: readonly JobProgress[]): JobPiece[] {
  return looks.flatMap(({ pieces }) => pieces);
}

/** The whole text of one item's answer. */
export function textOf(pieces: readonly JobPiece[], index = 0): string {
  return pieces
    .filter((piece) => piece.index === index)
    .map(({ piece }) => piece.text)
    .join('');
}
