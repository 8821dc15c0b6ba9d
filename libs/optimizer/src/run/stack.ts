/** A stack: a candidate that begins from what another one has made. */
import type { Candidate } from '../types.js';

/** In the name of a stack; no method has it in its variants' names. */
const JOINT = '_';

/** What `last` makes of a model, made of what `onto` has made: `layers2_int8-smooth`. */
export function stackOf(onto: Candidate, last: Candidate): Candidate {
  return { ...last, variant: `${onto.variant}${JOINT}${last.variant}`, parts: [onto, last] };
}

/** All that has to be made for it, one from the other, the first from the original, itself the last. */
export function chainOf(candidate: Candidate): readonly Candidate[] {
  const { parts } = candidate;
  return parts === undefined ? [candidate] : [...chainOf(parts[0]), candidate];
}

/** For people, and what candidates of the same methods are known by: `layers + int8-smooth`. */
export function methodsOf(candidate: Candidate): string {
  return chainOf(candidate)
    .map(({ method }) => method)
    .join(' + ');
}
