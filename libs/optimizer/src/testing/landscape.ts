/** Machines that are made up: what a setting takes is known, and what is measured is that with noise. */
import { keyOf, type Setting } from '../tune/rounds.js';
import { everySetting, type Space } from '../tune/search.js';

/** Uniform numbers in [0, 1) (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Around 0, with a scale of about 1 and tails of Student's distribution with three degrees of freedom. */
export function heavyTailed(random: () => number): number {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const squares = normal() ** 2 + normal() ** 2 + normal() ** 2;
  return normal() / Math.sqrt(squares / 3);
}

export interface LandscapeOptions {
  readonly seed: number;
  /** How many options each factor has. */
  readonly shape: readonly number[];
  /** By how much an option may make everything slower, as a share: 0 is a landscape on which nothing matters. */
  readonly effect: number;
  /** By how much two options may make each other faster or slower. */
  readonly interaction: number;
  /** Of one measurement, as a share. */
  readonly noise: number;
}

export interface Landscape {
  readonly space: Space<Setting>;
  /** Ms, on average and without noise. */
  readonly truth: (setting: Setting) => number;
  readonly measure: (setting: Setting) => Promise<number>;
  readonly now: () => number;
  readonly best: number;
  /** Ms that measuring every setting once takes. */
  readonly all: number;
}

/** A measurement takes as long as it says. Beside its own noise the whole machine gets slower and faster again. */
export function landscape({ seed, shape, effect, interaction, noise }: LandscapeOptions): Landscape {
  const random = seeded(seed);
  const names = shape.map((_, n) => `f${n}`);
  const factors = shape.map((options, n) => ({
    name: names[n]!,
    options: Array.from({ length: options }, (_, option) => ({ [names[n]!]: option })),
  }));
  const single = shape.map((options) => Array.from({ length: options }, () => effect * random()));
  const pairs = new Map<string, number>();
  const pairOf = (a: number, b: number, i: number, j: number) => {
    const key = `${a} ${b} ${i} ${j}`;
    // Few of them: most things do not know of each other.
    if (!pairs.has(key)) pairs.set(key, random() < 0.15 ? interaction * (2 * random() - 1) : 0);
    return pairs.get(key)!;
  };
  const truth = (setting: Setting) => {
    const options = names.map((name) => setting[name] as number);
    let log = options.reduce((sum, option, n) => sum + Math.log1p(single[n]![option]!), 0);
    for (let a = 0; a < options.length; a++) {
      for (let b = a + 1; b < options.length; b++) log += pairOf(a, b, options[a]!, options[b]!);
    }
    return 100 * Math.exp(log);
  };
  const defaults: Setting = Object.fromEntries(names.map((name) => [name, 0]));
  const all = everySetting({ defaults, factors });
  const times = new Map(all.map((setting) => [keyOf(setting), truth(setting)]));
  let clock = 0;
  return {
    space: { defaults, factors },
    truth,
    async measure(setting) {
      const drift = 1 + 0.3 * Math.sin(clock / 20_000) + 0.2 * Math.sin(clock / 3000);
      const spike = random() < 0.03 ? 1 + 2 * random() : 1;
      const ms = times.get(keyOf(setting))! * drift * spike * Math.exp(noise * heavyTailed(random));
      clock += ms;
      return ms;
    },
    now: () => clock,
    best: Math.min(...times.values()),
    all: [...times.values()].reduce((sum, ms) => sum + ms, 0),
  };
}
