/**
 * What settings take, learned from blocks of measurements that were made one after another. The logarithm of a time is that of its
 * block, an effect of each option, one of each pair of options, and noise: so every measurement tells of all factors, and what the
 * machine does besides falls on all of a block alike. Effects are normal, with variances that are learned with them (empirical
 * Bayes). Noise is Student's: a mixture of normals (EM of Lange, Little and Taylor 1989), wider in some blocks, while other programs run,
 * and with some settings.
 */
import { cholesky, inverseOfLower, solve } from '../linear/cholesky.js';

/** Deviations of effects as they are expected before anything is measured, as shares, and how many effects that counts as. */
const EXPECTED = { option: 0.2, pair: 0.03 };
const EXPECTED_COUNT = 1;
/** The same of noise. */
const [NOISE, NOISE_COUNT] = [0.05, 4];
/** Degrees of freedom of the noise. */
const FREEDOM = 4;
/** As how many measurements it counts that noise is as wide in one block as in others, and with one setting as with others. */
const [ALIKE_IN_BLOCKS, ALIKE_WITH_SETTINGS] = [10, 6];
/** Of learning, after each block: noise and effects follow each other. */
const STEPS = 3;
/** What is learned from few measurements looks surer than it is: deviations are taken for so many times as large. */
const CAUTION = 1.3;
/** No variance is learned to be less: what is divided by it stays finite. */
const LEAST_VARIANCE = 1e-6;

/** Measurements by one clock are compared with each other only. */
export type Clock = 'wall' | 'cpu';

type Kind = keyof typeof EXPECTED;

export interface Timed {
  /** Its index. */
  readonly setting: number;
  /** Of ms. */
  readonly log: number;
}

interface Seen extends Timed {
  /** By 1 divided by the variance of its noise: what it counts. */
  weight: number;
}

interface Block {
  readonly clock: Clock;
  readonly seen: readonly Seen[];
  /** Variance of noise in this block by that of its clock. */
  spread: number;
}

interface Noise {
  variance: number;
  /** Of each setting: its variance by that of the clock. */
  readonly spreads: Map<number, number>;
}

export class Effects {
  /** Of each effect. */
  readonly #kinds: Kind[] = [];
  /** Of each setting: the effects that it has. */
  readonly #own: readonly (readonly number[])[];
  /** Effects that fit the measurements whatever these are: options beside one of each factor. */
  readonly #fitted: number;
  readonly #blocks: Block[] = [];
  readonly #variances = { option: EXPECTED.option ** 2, pair: EXPECTED.pair ** 2 };
  readonly #noise: Readonly<Record<Clock, Noise>> = {
    wall: { variance: NOISE ** 2, spreads: new Map() },
    cpu: { variance: NOISE ** 2, spreads: new Map() },
  };
  /** Of effects: what they are on average, and K of their covariance Kᵀ K, row-major. Undefined while nothing was learned. */
  #known: { readonly mean: Float64Array; readonly root: Float64Array } | undefined;
  #logs: Float64Array;

  /** `choices`: of each setting, which option of each factor it has. */
  constructor(choices: readonly (readonly number[])[]) {
    const places = new Map<string, number>();
    const place = (key: string, kind: Kind) => {
      if (!places.has(key)) places.set(key, this.#kinds.push(kind) - 1);
      return places.get(key)!;
    };
    this.#own = choices.map((options) =>
      options.flatMap((one, a) => [
        place(`${a} ${one}`, 'option'),
        ...options.slice(0, a).map((other, b) => place(`${a} ${one} ${b} ${other}`, 'pair')),
      ]),
    );
    const factors = choices[0]?.length ?? 0;
    this.#fitted = this.#kinds.filter((kind) => kind === 'option').length - factors;
    this.#logs = new Float64Array(choices.length);
  }

  /** Whether anything was learned. */
  get known(): boolean {
    return this.#known !== undefined;
  }

  /** The logarithm of each setting's time, up to a number that all have in common. */
  get logs(): Float64Array {
    return this.#logs;
  }

  /** Of the difference between the logarithms of two settings' times. */
  deviation(one: number, other: number): number {
    if (this.#known === undefined) return Number.POSITIVE_INFINITY;
    const size = this.#kinds.length;
    const differ = new Float64Array(size);
    for (const at of this.#own[one]!) differ[at]! += 1;
    for (const at of this.#own[other]!) differ[at]! -= 1;
    const { root } = this.#known;
    let variance = 0;
    for (let row = 0; row < size; row++) {
      let sum = 0;
      for (let at = 0; at <= row; at++) sum += root[row * size + at]! * differ[at]!;
      variance += sum ** 2;
    }
    return CAUTION * Math.sqrt(variance);
  }

  /** `logs` as they may be as well, by what is known. */
  draw(random: () => number): Float64Array {
    if (this.#known === undefined) return this.#logs;
    const { mean, root } = this.#known;
    const size = mean.length;
    const effects = mean.slice();
    for (let row = 0; row < size; row++) {
      const white = CAUTION * normal(random);
      for (let at = 0; at <= row; at++) effects[at]! += root[row * size + at]! * white;
    }
    return this.#sums(effects);
  }

  /** Of fewer than two nothing is learned. */
  add(clock: Clock, timed: readonly Timed[]): void {
    if (timed.length < 2) return;
    const { variance } = this.#noise[clock];
    this.#blocks.push({ clock, seen: timed.map((one) => ({ ...one, weight: 1 / variance })), spread: 1 });
  }

  /** From all that was added. */
  learn(): void {
    if (this.#blocks.length === 0) return;
    for (let step = 1; ; step++) {
      const { mean, lower } = this.#learnEffects();
      this.#logs = this.#sums(mean);
      for (const clock of ['wall', 'cpu'] as const) this.#learnNoise(clock);
      if (step < STEPS) continue;
      const root = inverseOfLower(lower, mean.length);
      this.#known = { mean, root };
      this.#learnVariances(mean, root);
      return;
    }
  }

  /** The logarithm of a block's time is not known beforehand: what counts is how its measurements differ from their mean. */
  #learnEffects() {
    const size = this.#kinds.length;
    const precision = new Float64Array(size * size);
    const weighted = new Float64Array(size);
    for (const [n, kind] of this.#kinds.entries()) precision[n * size + n] = 1 / this.#variances[kind];
    for (const { seen } of this.#blocks) {
      const weights = new Map<number, number>();
      let [all, sum] = [0, 0];
      for (const { setting, log, weight } of seen) {
        all += weight;
        sum += weight * log;
        for (const a of this.#own[setting]!) {
          weights.set(a, (weights.get(a) ?? 0) + weight);
          weighted[a]! += weight * log;
          for (const b of this.#own[setting]!) precision[a * size + b]! += weight;
        }
      }
      for (const [a, weight] of weights) {
        weighted[a]! -= (weight * sum) / all;
        for (const [b, other] of weights) precision[a * size + b]! -= (weight * other) / all;
      }
    }
    const lower = cholesky(precision, size);
    return { mean: solve(lower, size, weighted, 1), lower };
  }

  #learnNoise(clock: Clock): void {
    const noise = this.#noise[clock];
    const blocks = this.#blocks.filter((block) => block.clock === clock);
    if (blocks.length === 0) return;
    const usual = (square: number, spread: number) => (FREEDOM + 1) / (FREEDOM + square / (noise.variance * spread));
    const squares = blocks.map(({ seen }) => this.#squares(seen));
    const bySetting = new Map<number, { sum: number; count: number }>();
    for (const [n, block] of blocks.entries()) {
      let sum = 0;
      for (const [at, { setting }] of block.seen.entries()) {
        const square = squares[n]![at]!;
        const own = noise.spreads.get(setting) ?? 1;
        const counted = (usual(square, block.spread * own) * square) / noise.variance;
        sum += counted / own;
        const all = bySetting.get(setting) ?? { sum: 0, count: 0 };
        bySetting.set(setting, { sum: all.sum + counted / block.spread, count: all.count + 1 });
      }
      block.spread = (sum + ALIKE_IN_BLOCKS) / (block.seen.length - 1 + ALIKE_IN_BLOCKS);
    }
    for (const [setting, { sum, count }] of bySetting) {
      noise.spreads.set(setting, (sum + ALIKE_WITH_SETTINGS) / (count + ALIKE_WITH_SETTINGS));
    }
    let [sum, count] = [0, 0];
    for (const [n, { seen, spread }] of blocks.entries()) {
      for (const [at, one] of seen.entries()) {
        const all = spread * noise.spreads.get(one.setting)!;
        const relative = usual(squares[n]![at]!, all) / all;
        sum += relative * squares[n]![at]!;
        // By the variance, which is divided by below.
        one.weight = relative;
      }
      count += seen.length - 1;
    }
    noise.variance = (sum + NOISE_COUNT * NOISE ** 2) / (Math.max(count / 2, count - this.#fitted) + NOISE_COUNT);
    for (const { seen } of blocks) for (const one of seen) one.weight /= noise.variance;
  }

  /** Of each measurement: how far it is from what is expected of it in its block, squared. */
  #squares(seen: readonly Seen[]): number[] {
    const off = seen.map(({ setting, log }) => log - this.#logs[setting]!);
    const all = seen.reduce((sum, { weight }) => sum + weight, 0);
    const centre = seen.reduce((sum, { weight }, n) => sum + weight * off[n]!, 0) / all;
    return off.map((value) => (value - centre) ** 2);
  }

  #learnVariances(mean: Float64Array, root: Float64Array): void {
    const size = this.#kinds.length;
    const squares = mean.map((effect) => effect ** 2);
    for (let row = 0; row < size; row++) for (let at = 0; at <= row; at++) squares[at]! += root[row * size + at]! ** 2;
    for (const kind of ['option', 'pair'] as const) {
      const own = squares.filter((_, n) => this.#kinds[n] === kind);
      const sum = own.reduce((all, square) => all + square, EXPECTED_COUNT * EXPECTED[kind] ** 2);
      this.#variances[kind] = Math.max(LEAST_VARIANCE, sum / (own.length + EXPECTED_COUNT));
    }
  }

  #sums(effects: Float64Array): Float64Array {
    return Float64Array.from(this.#own, (own) => own.reduce((sum, at) => sum + effects[at]!, 0));
  }
}

/** Standard normal (Box and Muller 1958). */
export function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
