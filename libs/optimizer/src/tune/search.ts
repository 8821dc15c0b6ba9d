/**
 * Finds the setting that takes the least time, and plans 15 % of that of an exhaustive search at most, by what it knows of the
 * settings: it takes more where the machine is slower than that tells. Settings of all factors are measured together and what each
 * option does is learned from all of them; then those that may be the fastest by what is known, until none may be any more but the
 * one that looks so. That one has to beat the defaults in rounds of its own, by an interval that does not depend on what the noise
 * is like: else the defaults stay.
 */
import { shuffled } from '@shoal/training';
import { Effects, type Timed } from './effects.js';
import { type Interval, medianInterval } from './median-interval.js';
import { rankInterval } from './rank-interval.js';
import { everyChoice, everySetting, keyOf, type Setting, type Space } from './setting.js';
import { logOfRatio, type Taken } from './work.js';

export interface SearchOptions<S extends Setting> {
  /** The work that all settings are measured by. It may fail, and ends the search with that. */
  readonly measure: (setting: S) => Promise<Taken>;
  /** What settings were measured with is made anew: sessions differ by where their weights lie, for as long as they live. */
  readonly renew: () => Promise<void>;
  /** From 0 to 1. */
  readonly random: () => number;
  /** In ms. */
  readonly now: () => number;
  /** In which an exhaustive search would measure each setting: more find smaller differences. */
  readonly rounds: number;
  /** Nothing is begun after this many ms. */
  readonly budgetMs: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: SearchProgress<S>) => void;
}

export type Stage = 'all factors' | 'the fastest' | 'against the defaults';

export interface SearchProgress<S extends Setting> {
  readonly stage: Stage;
  readonly measured: number;
  /** Of what it takes at most, from 0 to 1. */
  readonly done: number;
  /** At most. */
  readonly leftMs: number;
  /** What looks fastest so far, and its time by that of the defaults; undefined while nothing is known. */
  readonly best: { readonly setting: S; readonly ratio: number } | undefined;
}

export interface Tried<S extends Setting> {
  readonly setting: S;
  /** How often it was measured. */
  readonly times: number;
  /** Its time by that of the defaults, by what was learned from all settings. */
  readonly ratio: Interval;
}

export interface Found<S extends Setting> {
  /** The defaults, unless `end` is `better`. */
  readonly chosen: S;
  /** What looked fastest: it was compared with the defaults where it is not they. */
  readonly candidate: S;
  /** Its time by that of the defaults, in rounds that had no part in choosing it; null where there were none. */
  readonly ratio: Interval | null;
  /** `not_better`: nothing looked faster, or what did is slower. `undecided`: measurements or time were over before one could tell. */
  readonly end: 'better' | 'not_better' | 'undecided';
  /** What ended it, unless all was told. */
  readonly limit: 'time' | 'rounds';
  /** The fastest first. */
  readonly tried: readonly Tried<S>[];
  readonly measurements: number;
}

/** Of the time of an exhaustive search, by what settings take as far as it is known: what is taken at most. */
const SHARE = 0.15;
/** Of that and of the time, for finding out what looks best; the rest is for proving that it is better. */
const EXPLORING = 0.6;
/** A space of fewer is searched as one of so many: less tells nothing. */
const LEAST_SETTINGS = 7;
/** Measurements of a round. */
const ROUND = 8;
/** Options that there is a round for in which those of a factor are measured equally often: each then has some measurements. */
const OPTIONS_PER_EVEN_ROUND = 4;
/** Of a round: what looks fastest, which all others are compared with. */
const LEADING = 3;
/** What is faster by less than this is not worth another setting than the defaults. */
const MARGIN = Math.log(1.01);
/** What is this near to the fastest is as good as that; and the defaults where they are that near. */
const [NEAR, NEAR_DEFAULTS] = [Math.log(1.02), Math.log(1.025)];
/** So often, of draws from what is known, something may be faster by more when a search for it ends. */
const [DRAWS, LEFT] = [200, 0.01];
/**
 * How probable it may be at most that settings are kept which are no better than the defaults, and that either end of an interval
 * is wrong: of one that is looked at again and again, and of the last one.
 */
const [EARLY_ALPHA, LAST_ALPHA] = [0.01, 0.04];
/** Deviations at either side of what was learned in which 19 of 20 lie. */
const TOLD = 1.96;
/** Rounds against the defaults: what is not told by then is too small a difference. */
const MOST_COMPARED = 120;

/** @throws the signal's reason; what `measure` throws */
export async function searchSettings<S extends Setting>(space: Space<S>, options: SearchOptions<S>): Promise<Found<S>> {
  return await new Search(space, options).run();
}

/** Settings are told by their index among all of the space. */
class Search<S extends Setting> {
  readonly #options: SearchOptions<S>;
  readonly #settings: readonly S[];
  /** Options of each factor. */
  readonly #counts: readonly number[];
  readonly #defaults: number;
  readonly #effects: Effects;
  /** How often each was measured. */
  readonly #times: number[];
  readonly #started: number;
  #stage: Stage = 'all factors';
  #measured = 0;
  /** Of the stage that is under way. */
  #endsAt = 0;
  /** By time, or since there was room for nothing. */
  #cutShort = false;
  #timeOver = false;

  constructor(space: Space<S>, options: SearchOptions<S>) {
    this.#options = options;
    this.#settings = everySetting(space);
    this.#counts = space.factors.map(({ options: all }) => all.length);
    const defaults = keyOf(space.defaults);
    this.#defaults = this.#settings.findIndex((setting) => keyOf(setting) === defaults);
    this.#effects = new Effects(everyChoice(space));
    this.#times = this.#settings.map(() => 0);
    this.#started = options.now();
  }

  async run(): Promise<Found<S>> {
    const candidate = await this.#explore();
    const isDefault = candidate === this.#defaults;
    const ratio = isDefault ? null : await this.#compare(candidate);
    this.#effects.learn();
    const better = ratio !== null && ratio.high < 1;
    const slower = ratio === null ? isDefault && !this.#cutShort : ratio.low > 1;
    return {
      candidate: this.#settings[candidate]!,
      ratio,
      chosen: this.#settings[better ? candidate : this.#defaults]!,
      end: better ? 'better' : slower ? 'not_better' : 'undecided',
      limit: this.#timeOver ? 'time' : 'rounds',
      tried: this.#settings
        .map((setting, n) => ({ setting, times: this.#times[n]!, ratio: this.#ratioOf(n) }))
        .filter(({ times }) => times > 0)
        .sort((a, b) => a.ratio.median - b.ratio.median),
      measurements: this.#measured,
    };
  }

  /** What looks best. */
  async #explore(): Promise<number> {
    this.#endsAt = this.#started + EXPLORING * this.#options.budgetMs;
    const options = this.#counts.reduce((sum, count) => sum + count, 0);
    for (let round = 0; ; round++) {
      const even = round * OPTIONS_PER_EVEN_ROUND < options;
      this.#stage = even ? 'all factors' : 'the fastest';
      const settings = even ? this.#evenly(round === 0) : this.#promising();
      if (typeof settings === 'number') return settings;
      if (this.#spent(settings) > EXPLORING) {
        this.#cutShort ||= round === 0;
        return this.#leader();
      }
      const taken = await this.#play(settings);
      if (taken === undefined) return this.#leader();
      this.#learn(settings, taken);
    }
  }

  /** A round with options of each factor in equal shares, the defaults among them where asked for. */
  #evenly(withDefaults: boolean): number[] {
    const { random } = this.#options;
    const columns = this.#counts.map((count) => {
      const column: number[] = [];
      while (column.length < ROUND) column.push(...shuffled(Array(count).keys(), random));
      return column;
    });
    // Options of the last factor change fastest.
    const settings = Array.from({ length: ROUND }, (_, n) =>
      columns.reduce((index, column, factor) => index * this.#counts[factor]! + column[n]!, 0),
    );
    return withDefaults ? [this.#defaults, ...settings.slice(1)] : settings;
  }

  /**
   * A round of what looks fastest and of what may be (top-two sampling: Russo 2016); or the one that it is, where nothing may be
   * faster by enough to matter.
   */
  #promising(): number[] | number {
    const { random } = this.#options;
    const leader = this.#leader();
    const others: number[] = [];
    let [faster, better] = [0, 0];
    for (let n = 0; n < DRAWS; n++) {
      const logs = this.#effects.draw(random);
      const first = indexOfLeast(logs);
      if (logs[first]! < logs[leader]! - NEAR) faster++;
      if (logs[first]! < logs[this.#defaults]! - NEAR_DEFAULTS) better++;
      if (first !== leader) others.push(first);
    }
    const enough = LEFT * DRAWS;
    if (better <= enough) return this.#defaults;
    if (faster <= enough || others.length === 0) return leader;
    const drawn = () => others[Math.floor(random() * others.length)]!;
    return Array.from({ length: ROUND }, (_, n) => (n < LEADING ? leader : drawn()));
  }

  /** What looks fastest: the defaults where that is not by enough. */
  #leader(): number {
    const { logs } = this.#effects;
    const first = indexOfLeast(logs);
    return logs[first]! < logs[this.#defaults]! - MARGIN ? first : this.#defaults;
  }

  /** Against the defaults, in rounds that had no part in choosing it, until it is told which is faster. Null without any. */
  async #compare(candidate: number): Promise<Interval | null> {
    this.#stage = 'against the defaults';
    this.#endsAt = this.#started + this.#options.budgetMs;
    const pair = [candidate, this.#defaults];
    const ratios: number[] = [];
    while (ratios.length < MOST_COMPARED && this.#spent(pair) <= 1) {
      // A session that is fast by luck is so for as long as it lives: it made its setting look fast, and would make it win.
      await this.#options.renew();
      const taken = await this.#play(pair);
      if (taken === undefined) break;
      this.#learn(pair, taken);
      ratios.push(logOfRatio(taken[0]!, taken[1]!));
      const sofar = medianInterval(ratios, EARLY_ALPHA);
      if (sofar.low > 0 || sofar.high < 0) return exponential(sofar);
    }
    return ratios.length === 0 ? null : exponential(rankInterval(ratios, LAST_ALPHA));
  }

  /** What each took, measured in random order; undefined where time was over before that. */
  async #play(settings: readonly number[]): Promise<Taken[] | undefined> {
    const { measure, now, random, signal, onProgress } = this.#options;
    const taken: Taken[] = [];
    for (const place of shuffled(settings.keys(), random)) {
      signal.throwIfAborted();
      if (now() >= this.#endsAt) {
        this.#cutShort = true;
        this.#timeOver = true;
        return undefined;
      }
      taken[place] = await measure(this.#settings[settings[place]!]!);
      this.#measured++;
      this.#times[settings[place]!]!++;
      onProgress(this.#progress());
    }
    return taken;
  }

  #learn(settings: readonly number[], taken: readonly Taken[]): void {
    const timed = (msOf: (one: Taken) => number | null) =>
      taken.flatMap((one, n): Timed[] => {
        const ms = msOf(one);
        return ms === null ? [] : [{ setting: settings[n]!, log: Math.log(ms) }];
      });
    this.#effects.add(
      'wall',
      timed(({ ms }) => ms),
    );
    this.#effects.add(
      'cpu',
      timed(({ cpuMs }) => cpuMs),
    );
    // Those of the last stage change nothing that is decided by: they are learned from in the end.
    if (this.#stage !== 'against the defaults') this.#effects.learn();
  }

  /** Of what may be taken: what was, and what these take. */
  #spent(settings: readonly number[] = []): number {
    const each = this.#effects.logs.map(Math.exp);
    const once = each.reduce((sum, own) => sum + own, 0);
    const room = SHARE * this.#options.rounds * once * Math.max(1, LEAST_SETTINGS / each.length);
    const before = this.#times.reduce((sum, times, n) => sum + times * each[n]!, 0);
    return settings.reduce((sum, setting) => sum + each[setting]!, before) / room;
  }

  #progress(): SearchProgress<S> {
    const { now, budgetMs } = this.#options;
    const passed = now() - this.#started;
    const done = Math.min(1, Math.max(this.#spent(), passed / budgetMs));
    const leader = this.#leader();
    const known = this.#effects.known;
    return {
      ...{ stage: this.#stage, measured: this.#measured, done },
      leftMs: Math.max(0, Math.min(passed / done - passed, budgetMs - passed)),
      best: known ? { setting: this.#settings[leader]!, ratio: this.#ratioOf(leader).median } : undefined,
    };
  }

  #ratioOf(setting: number): Interval {
    const log = this.#effects.logs[setting]! - this.#effects.logs[this.#defaults]!;
    const off = setting === this.#defaults ? 0 : TOLD * this.#effects.deviation(setting, this.#defaults);
    return exponential({ median: log, low: log - off, high: log + off });
  }
}

function indexOfLeast(values: Float64Array): number {
  return values.reduce((least, value, n) => (value < values[least]! ? n : least), 0);
}

function exponential({ median, low, high }: Interval): Interval {
  return { median: Math.exp(median), low: Math.exp(low), high: Math.exp(high) };
}
