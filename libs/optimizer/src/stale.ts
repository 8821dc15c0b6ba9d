/**
 * What a run works with was changed under it, or is not what it seemed: no candidate is to blame, so nothing is noted of it, and the run
 * ends with these words.
 */
export class Stale extends Error {}
