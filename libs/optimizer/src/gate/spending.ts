/**
 * How all verdicts that the same texts give on variants of the same original share one error of 5 %, in one command or in many: each
 * further look at the texts is a further chance that something passes which should not.
 *
 * Command k has α / (k (k + 1)) of it, and what it judges shares that alike. Over however many commands this sums up to α at most, and
 * by Bonferroni's inequality so does the chance that any of all these bounds is wrong. Not α / n by all n verdicts so far, as it
 * would be for verdicts that are given together: n grows, and what has passed is not taken back. Not α / 2^k either: that leaves nothing
 * to a tenth command, which here still has a 55th of what the first had, and needs twice the texts where nothing is lost.
 *
 * (It holds for candidates that do not depend on the verdict's texts. Who looks at the figures of a verdict and chooses the next
 * settings by them needs new texts.)
 */
import { ALPHA } from './bound.js';

/** Below it neither counts nor resampling tell anything of texts that were not seen: the texts are used up. */
export const LEAST_ALPHA = 1e-4;

/** Of each of so many verdicts of a command, the first of which has the number 1. Undefined: nothing is left to be sure of. */
export function shareOf(command: number, verdicts: number): number | undefined {
  const alpha = ALPHA / (command * (command + 1) * verdicts);
  return alpha < LEAST_ALPHA ? undefined : alpha;
}
