/** The log of a job's answers: pieces as they stand in Redis, how workers write them, and how they are read. */
import type { Savings, TextPiece, WireLogprobs } from '@shoal/contracts';
import { pack, unpack } from './codec.js';
import type { ChunkLock, ClaimedItem } from './engine.js';
import { EXPIRED } from './errors.js';
import type { RedisClient } from './redis.js';
import { queueScript } from './scripts.js';

/** A piece that was made, and the item whose answer it is of. */
export interface Written {
  readonly item: ClaimedItem;
  /** Of at least one token. */
  readonly piece: TextPiece;
}

/**
 * 2: written (or it was before), and somebody follows the job; 1: nobody does; 0: the job has ended or the item is done; −1: the
 * lock is lost; −2: the log ends elsewhere than where the piece begins, and a new claim of the item goes on from there.
 */
export type WriteVerdict = 2 | 1 | 0 | -1 | -2;

/**
 * When so many tokens of an answer are written beyond those that its claim found, no later end of its worker is blamed on it, and
 * its strikes are taken back. A worker keeps no more tokens than these unwritten: so what ends its worker always at the same token
 * never gets so far beyond its log again, and fails after its strikes.
 */
export const PROVEN_TOKENS = 64;

/** A piece as it is stored; `n` is its item's place in the order of storage. */
export interface LoggedPiece {
  readonly seq: number;
  readonly n: number;
  readonly piece: TextPiece;
}

export interface PiecePage {
  readonly pieces: readonly LoggedPiece[];
  readonly more: boolean;
}

/** Most pieces of one script, as many as a generator has rows or so: some ms of Redis. */
const MAX_WRITTEN = 64;
/** Of a page: pieces, and bytes after the first. */
const PAGE_PIECES = 256;
const PAGE_BYTES = 256 * 1024;

type PackedPiece = [
  from: number,
  ids: Uint32Array,
  text: string,
  logprobs?: WireLogprobs | null,
  savings?: PackedSavings,
];
type PackedSavings = [cachedTokens: number, accepted: number, rejected: number];

const textScript = queueScript<WriteVerdict[]>('text.lua');
const piecesScript = queueScript<0 | [more: 0 | 1, pieces: [seq: number, n: number, packed: Buffer][]]>('pieces.lua');
const writtenScript = queueScript<[before: number, pieces: Buffer[]]>('written.lua');

/** One verdict per piece. */
export async function writePieces(
  redis: RedisClient,
  queue: string,
  written: readonly Written[],
): Promise<WriteVerdict[]> {
  const verdicts: WriteVerdict[] = [];
  for (let from = 0; from < written.length; from += MAX_WRITTEN) {
    const some = written.slice(from, from + MAX_WRITTEN);
    const blobs = some.map(({ piece }) => packPiece(piece));
    verdicts.push(
      ...(await textScript(redis, queue, [pack({ ...columnsOf(some), proven: PROVEN_TOKENS }), EXPIRED, ...blobs])),
    );
  }
  return verdicts;
}

/**
 * Pieces of a job after number `after`, as many as a page holds; null where the job is not there. With `followedMs` the job
 * counts as followed for so long.
 */
export async function readPieces(
  redis: RedisClient,
  queue: string,
  ulid: string,
  after: number,
  followedMs = 0,
): Promise<PiecePage | null> {
  const reply = await piecesScript(redis, queue, [ulid, after, PAGE_PIECES, PAGE_BYTES, followedMs]);
  if (reply === 0) return null;
  const [more, pieces] = reply;
  return { pieces: pieces.map(([seq, n, packed]) => ({ seq, n, piece: unpackPiece(packed) })), more: more === 1 };
}

/** All that is written of one answer, in order. `n`: its item's place in the order of storage. */
export async function readAnswer(redis: RedisClient, queue: string, ulid: string, n: number): Promise<TextPiece[]> {
  const pages: Buffer[][] = [];
  let from = 0;
  do {
    const [before, page] = await writtenScript(redis, queue, [ulid, n, from, PAGE_PIECES, PAGE_BYTES]);
    pages.push(page);
    from = before;
  } while (from > 0);
  return pages.flat().reverse().map(unpackPiece);
}

/** The pieces that a message of lua/text.lua has of jobs that are `wanted`, and their sizes in bytes. */
export function* parseMessage(
  message: Buffer,
  wanted: (ulid: string) => boolean,
): Generator<LoggedPiece & { readonly ulid: string; readonly bytes: number }> {
  const end = message.indexOf('\n');
  let at = end + 1;
  for (const head of message.toString('latin1', 0, end).split(';')) {
    const [ulid = '', ...numbers] = head.split(' ');
    const [seq = 0, n = 0, bytes = 0] = numbers.map(Number);
    if (wanted(ulid)) yield { ulid, seq, n, bytes, piece: unpackPiece(message.subarray(at, at + bytes)) };
    at += bytes;
  }
}

function packPiece({ from, ids, text, logprobs, savings }: TextPiece): Buffer {
  const packed: PackedPiece = [from, ids, text];
  if (logprobs || savings) packed.push(logprobs ?? null);
  if (savings) packed.push([savings.cachedTokens, savings.accepted, savings.rejected]);
  return pack(packed);
}

function unpackPiece(packed: Buffer): TextPiece {
  const [from, ids, text, logprobs, savings] = unpack<PackedPiece>(packed);
  return { from, ids, text, ...(logprobs && { logprobs }), ...(savings && { savings: savingsOf(savings) }) };
}

function savingsOf([cachedTokens, accepted, rejected]: PackedSavings): Savings {
  return { cachedTokens, accepted, rejected };
}

/** As lua/text.lua reads them. */
function columnsOf(written: readonly Written[]) {
  const locks = new Map<ChunkLock, number>();
  const pieces = {
    chunk: [] as number[],
    job: [] as string[],
    slice: [] as number[],
    n: [] as number[],
    from: [] as number[],
    count: [] as number[],
    claimed: [] as number[],
  };
  for (const { item, piece } of written) {
    if (!locks.has(item.lock)) locks.set(item.lock, locks.size + 1);
    pieces.chunk.push(locks.get(item.lock)!);
    pieces.job.push(item.ulid);
    pieces.slice.push(item.slice);
    pieces.n.push(item.n);
    pieces.from.push(piece.from);
    pieces.count.push(piece.ids.length);
    pieces.claimed.push(item.written);
  }
  const held = [...locks.keys()];
  return { chunks: { id: held.map(({ id }) => id), token: held.map(({ token }) => token) }, pieces };
}
