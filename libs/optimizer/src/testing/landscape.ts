/** Machines that are made up: what a setting takes is known, and what is measured is that with noise. */
import { seededRandom } from '@shoal/training';
import { normal } from '../tune/effects.js';
import { everyChoice, everySetting, keyOf, type Setting, type Space } from '../tune/setting.js';
import type { Taken } from '../tune/work.js';

/** Around 0, with a scale of about 1 and tails of Student's distribution with three degrees of freedom. */
export function heavyTailed(random: () => number): number {
  const squares = normal(random) ** 2 + normal(random) ** 2 + normal(random) ** 2;
  return normal(random) / Math.sqrt(squares / 3);
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
  /** By how much another program slows everything while it runs, some seconds at a time; noise is twice as wide then. Default 0. */
  readonly neighbour?: number;
  /** Noise of one measurement by CPU time, which the first option of the first factor has; left out: no option has it. */
  readonly cpuNoise?: number;
  /** How many times as wide noise is with the first option of the first factor. Default 1. */
  readonly unevenness?: number;
  /** By how much, as a share, one session is faster or slower than another one of the same setting for as long as it lives. Default 0. */
  readonly luck?: number;
}

export interface Landscape {
  readonly space: Space<Setting>;
  /** Ms, on average and without noise. */
  readonly truth: (setting: Setting) => number;
  readonly measure: (setting: Setting) => Promise<Taken>;
  /** Makes all sessions anew. */
  readonly renew: () => Promise<void>;
  readonly now: () => number;
  readonly best: number;
  /** Ms that measuring every setting once takes, without noise. */
  readonly all: number;
}

/** Ms that the neighbour is there, and that it is away, on average. */
const NEIGHBOUR_MS = 10_000;

/** A measurement takes as long as it says. Beside its own noise the whole machine gets slower and faster again. */
export function landscape(options: LandscapeOptions): Landscape {
  const { seed, shape, effect, interaction, noise, neighbour = 0, cpuNoise, unevenness = 1, luck = 0 } = options;
  const random = seededRandom(seed);
  const names = shape.map((_, n) => `f${n}`);
  const factors = shape.map((count, n) => ({
    name: names[n]!,
    options: Array.from({ length: count }, (_, option) => ({ [names[n]!]: option })),
  }));
  const single = shape.map((count) => Array.from({ length: count }, () => effect * random()));
  const pairs = new Map<string, number>();
  const pairOf = (a: number, b: number, i: number, j: number) => {
    const key = `${a} ${b} ${i} ${j}`;
    // Few of them: most things do not know of each other.
    if (!pairs.has(key)) pairs.set(key, random() < 0.15 ? interaction * (2 * random() - 1) : 0);
    return pairs.get(key)!;
  };
  const timeOf = (choice: readonly number[]) => {
    let log = choice.reduce((sum, option, n) => sum + Math.log1p(single[n]![option]!), 0);
    for (let a = 0; a < choice.length; a++) {
      for (let b = a + 1; b < choice.length; b++) log += pairOf(a, b, choice[a]!, choice[b]!);
    }
    return 100 * Math.exp(log);
  };
  const space: Space<Setting> = { defaults: Object.fromEntries(names.map((name) => [name, 0])), factors };
  const choices = everyChoice(space);
  const times = new Map(everySetting(space).map((setting, n) => [keyOf(setting), timeOf(choices[n]!)]));
  const truth = (setting: Setting) => times.get(keyOf(setting))!;
  const sessions = new Map<string, number>();
  const sessionOf = (setting: Setting) => {
    if (luck === 0) return 1;
    const key = keyOf(setting);
    if (!sessions.has(key)) sessions.set(key, Math.exp(luck * normal(random)));
    return sessions.get(key)!;
  };
  let clock = 0;
  let [isThere, changesAt] = [false, 0];
  const comesOrGoes = () => {
    while (neighbour > 0 && clock >= changesAt) {
      isThere = !isThere;
      changesAt -= NEIGHBOUR_MS * Math.log(1 - random());
    }
    return isThere;
  };
  return {
    space,
    truth,
    async measure(setting) {
      const first = setting[names[0]!] === 0;
      const isBusy = comesOrGoes();
      const drift = 1 + 0.3 * Math.sin(clock / 20_000) + 0.2 * Math.sin(clock / 3000);
      const spike = random() < 0.03 ? 1 + 2 * random() : 1;
      const wide = noise * (isBusy ? 2 : 1) * (first ? unevenness : 1);
      const own = truth(setting) * sessionOf(setting);
      const ms = own * drift * spike * (isBusy ? 1 + neighbour : 1) * Math.exp(wide * heavyTailed(random));
      clock += ms;
      const byCpu = first && cpuNoise !== undefined;
      return { ms, cpuMs: byCpu ? own * Math.exp(cpuNoise * heavyTailed(random)) : null };
    },
    renew: async () => sessions.clear(),
    now: () => clock,
    best: Math.min(...times.values()),
    all: [...times.values()].reduce((sum, ms) => sum + ms, 0),
  };
}
