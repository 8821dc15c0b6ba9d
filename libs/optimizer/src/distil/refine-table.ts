/**
 * A table of token vectors, fitted to the teacher's vectors of texts: E of least ‖X·E − Y‖² + λ‖E − E₀‖² for X, the tokens
 * of texts. Tokens that no text has stay what they were. λ and the number of steps, which also holds a fit back, are chosen on
 * texts that are held out.
 */
import { setImmediate as othersTurn } from 'node:timers/promises';
import { type RidgeStep, ridgeSteps } from '../linear/sparse-ridge.js';
import { multiply, rowCount, seenFeatures, type TokenRows, takeRows, tokenRows } from '../linear/token-rows.js';
import type { Context } from '../types.js';
import type { PriorLesson } from './static-prior.js';

/** Largest first. */
const RIDGES = [3, 1, 0.3, 0.1, 0.03, 0.01] as const;
const MOST_STEPS = 80;
/** Steps without a better one, after which a ridge is left. */
const PATIENCE = 6;
/** Columns that are fitted together: their part of a table of 20,000 tokens takes 10 MB. λ is chosen on the first ones. */
const BLOCK = 64;
/** Share of a residual at which a fit is as good as exact. */
const SETTLED = 1e-6;

/** What a fit is held back by. */
export interface Restraint {
  readonly ridge: number;
  readonly steps: number;
}

type RefineContext = Pick<Context, 'signal' | 'onProgress'>;

/** The fitted table, [vocabulary, dimensions]. @throws the signal's reason */
export async function refineTable(
  prior: Float32Array,
  lesson: PriorLesson,
  { ridge, steps }: Restraint,
  { signal, onProgress }: RefineContext,
): Promise<Float32Array> {
  const { dimensions } = lesson.answers;
  const { rows, seen } = seenFeatures(lesson.rows);
  const table = prior.slice();
  for (let from = 0; from < dimensions; from += BLOCK) {
    const columns = Math.min(BLOCK, dimensions - from);
    const target = residualOf(prior, lesson, from, columns);
    const solution = await solve(ridgeSteps(rows, target, columns, ridge), steps, signal);
    for (const [n, token] of seen.entries()) {
      const to = token * dimensions + from;
      for (let c = 0; c < columns; c++) table[to + c] = table[to + c]! + solution[n * columns + c]!;
    }
    onProgress((from + columns) / dimensions);
  }
  return table;
}

async function solve(all: Iterable<RidgeStep>, steps: number, signal: AbortSignal): Promise<Float64Array> {
  let last: Float64Array = new Float64Array();
  for (const { iteration, solution } of all) {
    last = solution;
    if (iteration >= steps) break;
    await othersTurn();
    signal.throwIfAborted();
  }
  return last;
}

/**
 * The restraint that does best on the rows of `heldOut`, and the mean squared error there of the columns that it was tried on.
 *
 * @throws the signal's reason
 */
export async function chooseRestraint(
  prior: Float32Array,
  lesson: PriorLesson,
  parts: { readonly heldOut: readonly number[]; readonly rest: readonly number[] },
  signal: AbortSignal,
): Promise<Restraint & { readonly error: number }> {
  const columns = Math.min(BLOCK, lesson.answers.dimensions);
  const [heldOut, taught] = [take(lesson, parts.heldOut), take(lesson, parts.rest)];
  const { rows, seen } = seenFeatures(taught.rows);
  const target = residualOf(prior, taught, 0, columns);
  const heldRows = among(heldOut.rows, seen);
  const heldTarget = residualOf(prior, heldOut, 0, columns);
  let best = { ridge: RIDGES[0] as number, steps: 1, error: Number.POSITIVE_INFINITY };
  for (const ridge of RIDGES) {
    let [last, least] = [0, Number.POSITIVE_INFINITY];
    for (const { iteration, solution, residual } of ridgeSteps(rows, target, columns, ridge)) {
      const error = squaredError(multiply(heldRows, solution, columns), heldTarget) / heldTarget.length;
      if (error < least) [last, least] = [iteration, error];
      if (error < best.error) best = { ridge, steps: iteration, error };
      if (iteration - last >= PATIENCE || iteration >= MOST_STEPS || residual < SETTLED) break;
      await othersTurn();
      signal.throwIfAborted();
    }
  }
  return best;
}

function take({ rows, answers: { values, dimensions } }: PriorLesson, which: readonly number[]): PriorLesson {
  const taken = new Float32Array(which.length * dimensions);
  for (const [n, place] of which.entries()) {
    taken.set(values.subarray(place * dimensions, (place + 1) * dimensions), n * dimensions);
  }
  return { rows: takeRows(rows, which), answers: { values: taken, dimensions } };
}

/** The rows by the numbers that `seen` gives features; others have none. */
function among({ starts, features, scales, width }: TokenRows, seen: Uint32Array): TokenRows {
  const places = new Int32Array(width).fill(-1);
  for (const [n, feature] of seen.entries()) places[feature] = n;
  const rows = Array.from(scales, (scale, n) => {
    const own = Int32Array.from(features.subarray(starts[n]!, starts[n + 1]!), (feature) => places[feature]!);
    return { features: own.filter((place) => place >= 0), scale };
  });
  return tokenRows(rows, seen.length);
}

/** Y − X·E₀ of some columns, [rows, columns]. */
function residualOf(prior: Float32Array, { rows, answers }: PriorLesson, from: number, columns: number): Float64Array {
  const { values, dimensions } = answers;
  const part = new Float32Array(rows.width * columns);
  for (let token = 0; token < rows.width; token++) {
    const at = token * dimensions + from;
    part.set(prior.subarray(at, at + columns), token * columns);
  }
  const residual = multiply(rows, part, columns);
  for (let n = 0, at = 0; n < rowCount(rows); n++) {
    for (let c = 0; c < columns; c++, at++) residual[at] = values[n * dimensions + from + c]! - residual[at]!;
  }
  return residual;
}

function squaredError(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at]! - b[at]!) ** 2;
  return sum;
}
