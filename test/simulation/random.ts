/** Random numbers from a seed, so that a run can be repeated. */

export type Random = () => number;

/** Uniform in [0, 1): mulberry32, 32 bits of state, which is plenty for traffic. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** How many of `n` independent trials succeed. */
export function binomial(random: Random, n: number, p: number): number {
  let count = 0;
  for (let trial = 0; trial < n; trial++) if (random() < p) count++;
  return count;
}
