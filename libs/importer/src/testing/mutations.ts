/** How much of what was made up at random a run of the tests tries. */
import { inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** vitest.config.ts has where they come from. */
    readonly mutations: { readonly most: number; readonly seed: number };
  }
}

/**
 * How many of `all` its mutations each of so many tests makes in this run, and from which seed, which belongs into its name.
 * A bound of what comes of them is one of shares: it holds for every seed.
 */
export function mutationsOf(all: number, tests = 1): { readonly count: number; readonly seed: number } {
  const { most, seed } = inject('mutations');
  return { count: Math.min(all, Math.ceil(most / tests)), seed };
}
