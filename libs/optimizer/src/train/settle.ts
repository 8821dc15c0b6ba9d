/** What evaluations on the way say: which graph is taken, and whether going on is of any use. */
import type { Evaluation } from './types.js';

/**
 * Training ends where the mean of so many evaluations is no better than that of those before: half of all, since losses fall most as
 * the rate does, and one that was lucky is followed by worse ones for long.
 */
const PATIENCE = 5;

/**
 * Of those that lose less than what was there before training, the last that is within a standard error of the least loss: of ten
 * evaluations the least is so by luck in part, and later steps have seen more and had a lower rate. What training began with, where
 * nothing is better: also what is as good has been changed for nothing then.
 *
 * @param evaluations that of step 0 first. One more makes itself the best, or leaves the best as it was.
 */
export function bestOf(evaluations: readonly Evaluation[]): Evaluation {
  const [begun, ...trained] = evaluations;
  const better = trained.filter(({ loss }) => loss < begun!.loss);
  const [first] = better;
  if (first === undefined) return begun!;
  const least = better.reduce((best, one) => (one.loss < best.loss ? one : best), first);
  return better.findLast(({ loss }) => loss <= least.loss + least.error)!;
}

/** Whether the latest are on average no better than those before. */
export function isSettled(evaluations: readonly Evaluation[]): boolean {
  const [before, recent] = [evaluations.slice(0, -PATIENCE), evaluations.slice(-PATIENCE)];
  return before.length > 0 && meanOf(recent) >= meanOf(before);
}

function meanOf(evaluations: readonly Evaluation[]): number {
  return evaluations.reduce((sum, { loss }) => sum + loss, 0) / evaluations.length;
}
