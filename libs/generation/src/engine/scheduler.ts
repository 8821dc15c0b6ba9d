/**
 * What the next step of the engine is. Texts that are under way go on in every step; beside them prompts are processed in
 * chunks, so that nobody waits for a long prompt of another.
 */

import { CHUNK } from '../kv/slots.js';

/**
 * Beside so many texts that wait for their next token, one chunk of prompts is in a step. Prompts that come as fast as they are
 * processed then fill twice as many rows as one chunk would: of 135 million parameters and 8 texts it makes a step four times as
 * long, beside 32 texts two of them double it.
 */
const TEXTS_PER_CHUNK = 16;
/** Tokens of prompts in a step that nobody waits for. */
export const IDLE_PROMPTS = 4 * CHUNK;
/** Of a better rank so many texts let one of a worse go on beside them: a pass takes about a fifth longer for it. */
const BESIDE = 4;
/** Texts at once for which to verify proposals pays: a pass over more tokens of more texts takes as much longer. */
const VERIFYING = 2;

/** The part of a request that tells when it is its turn. */
export interface Turn {
  readonly order: number;
  readonly alone: boolean;
}

export interface Step {
  /** Whether texts go on. */
  readonly decode: boolean;
  /** Whether proposals of what follows are verified with it. */
  readonly verify: boolean;
  /** Tokens of prompts that may be processed. */
  readonly budget: number;
}

/** `next`: whose prompt is processed, if any is. While that is of a suspect, nobody else is in a pass. */
export function planStep(decoding: number, next: Turn | undefined): Step {
  const decode = decoding > 0 && !(next?.alone ?? false);
  return { decode, verify: decode && decoding <= VERIFYING, budget: decode ? promptsBeside(decoding) : IDLE_PROMPTS };
}

/** Tokens of prompts in a step beside so many texts. */
export function promptsBeside(texts: number): number {
  return Math.min(IDLE_PROMPTS, CHUNK * Math.ceil(texts / TEXTS_PER_CHUNK));
}

/** Tokens of the next chunk of a prompt, of which `past` are in the cache and `left` are not: to where the next one begins. */
export function chunkOf(past: number, left: number): number {
  return Math.min(left, CHUNK - (past % CHUNK));
}

/** A text that could go on. */
export interface Ranked extends Turn {
  readonly owner: string;
  readonly rank: number;
}

/**
 * Those of `rows` that go on in this step: of each owner those of its best rank, and a few of the others, first ones first. None
 * of the others while a prompt of a better rank is processed, `prompt`: that its text begins soon is what it has its rank for.
 */
export function goingOn<Row extends Ranked>(rows: readonly Row[], prompt?: Ranked): Row[] {
  const best = bestRanks(rows);
  const going = rows.filter(({ owner, rank }) => rank === best.get(owner));
  const resting = rows.filter(({ owner, rank }) => rank > best.get(owner)!).sort((a, b) => a.order - b.order);
  const some = [...going, ...resting.slice(0, Math.max(1, Math.floor(going.length / BESIDE)))];
  return prompt === undefined ? some : some.filter((row) => !waitsForOthers(row, [prompt]));
}

/** Whether the prompt of `next` waits for texts of its owner that have a better rank. */
export function waitsForOthers(next: Ranked, rows: readonly Ranked[]): boolean {
  return next.rank > (bestRanks(rows).get(next.owner) ?? next.rank);
}

function bestRanks(rows: readonly Ranked[]): Map<string, number> {
  const best = new Map<string, number>();
  for (const { owner, rank } of rows) best.set(owner, Math.min(rank, best.get(owner) ?? rank));
  return best;
}

/** Whose turn it is; of equals the first. */
export function nextInTurn<One extends Turn>(waiting: readonly One[]): One | undefined {
  let next: One | undefined;
  for (const one of waiting) if (next === undefined || one.order < next.order) next = one;
  return next;
}

/** Runs of rows next to each other for which `test` says the same. */
export function neighbours<Row>(rows: readonly Row[], test: (row: Row) => boolean): Row[][] {
  const runs: Row[][] = [];
  rows.forEach((row, n) => {
    if (n > 0 && test(row) === test(rows[n - 1]!)) runs.at(-1)!.push(row);
    else runs.push([row]);
  });
  return runs;
}

/** Which rows are to be exchanged so that those in `places` come to be rows 0 to n - 1: each hole with a row from behind. */
export function compaction(places: readonly number[]): (readonly [to: number, from: number])[] {
  const taken = new Set(places);
  const behind = places.filter((place) => place >= places.length);
  const holes = places.flatMap((_, place) => (taken.has(place) ? [] : [place]));
  return holes.map((hole, n) => [hole, behind[n]!] as const);
}
