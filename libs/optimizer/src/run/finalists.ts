/** Which candidates get a verdict: of each method, and of stacks of the same methods, the fastest whose loss seems to be allowed. */
import type { SpeedRatio } from '@shoal/contracts';
import type { Candidate, Comparison } from '../types.js';
import { methodsOf } from './stack.js';

export interface Measured {
  readonly candidate: Candidate;
  /** On the part that choices are made by. */
  readonly comparison: Comparison;
}

export interface Choice<M extends Measured> {
  readonly finalists: readonly M[];
  /** With the one of their method that is better. */
  readonly outdone: readonly { readonly measured: M; readonly by: M }[];
  /** None of their method can pass. */
  readonly hopeless: readonly M[];
}

/**
 * The choice part is small: what counts there is the mean of the loss, and the verdict asks for its bound. `keepAll`: a method whose
 * candidates all lose too much, or are not faster, has the one that loses least for a finalist.
 */
export function chooseFinalists<M extends Measured>(all: readonly M[], allowed: number, keepAll: boolean): Choice<M> {
  const finalists: M[] = [];
  const outdone: { measured: M; by: M }[] = [];
  const hopeless: M[] = [];
  for (const methods of new Set(all.map(({ candidate }) => methodsOf(candidate)))) {
    const own = all.filter(({ candidate }) => methodsOf(candidate) === methods);
    const able = own.filter(({ comparison }) => comparison.loss.mean <= allowed && mayBeFaster(comparison.speeds));
    const pool = able.length > 0 || !keepAll ? able : own;
    const best = pool.reduce<M | undefined>(
      (a, b) => (a === undefined || isBetter(b, a, able.length > 0) ? b : a),
      undefined,
    );
    if (best === undefined) {
      hopeless.push(...own);
      continue;
    }
    finalists.push(best);
    for (const measured of own) if (measured !== best) outdone.push({ measured, by: best });
  }
  // Whose verdict comes first does not matter for the verdicts, but time may run out.
  finalists.sort((a, b) => speedOf(b.comparison.speeds) - speedOf(a.comparison.speeds));
  return { finalists, outdone, hopeless };
}

/** The geometric mean of the ratios over all shapes. */
export function speedOf(speeds: readonly SpeedRatio[]): number {
  return Math.exp(speeds.reduce((sum, { ratio }) => sum + Math.log(ratio), 0) / speeds.length);
}

export function mayBeFaster(speeds: readonly SpeedRatio[]): boolean {
  return speeds.some(({ high }) => high > 1);
}

function isBetter({ comparison: b }: Measured, { comparison: a }: Measured, bySpeed: boolean): boolean {
  return bySpeed ? speedOf(b.speeds) > speedOf(a.speeds) : b.loss.mean < a.loss.mean;
}
