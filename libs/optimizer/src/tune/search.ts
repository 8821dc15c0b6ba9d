/**
 * Finds the setting that takes the least time, in a sixth of the measurements of an exhaustive search. Each factor is tried by
 * itself, the others as they are best so far: settings take turns, and those that cannot win are dropped. In the end second choices
 * that may be as good are tried again, and in pairs, since factors may know of each other. What is left has to beat the defaults in
 * rounds of its own, by an interval that holds whenever one stops: else the defaults stay.
 */
import { type Interval, median, medianInterval } from './median-interval.js';
import { keyOf, Rounds, type Setting } from './rounds.js';

export interface Factor<S extends Setting> {
  /** For people: `threads`. */
  readonly name: string;
  /** Values that are set together, that of the defaults among them. */
  readonly options: readonly Partial<S>[];
}

/** All combinations of one option of each factor. */
export interface Space<S extends Setting> {
  readonly defaults: S;
  /** Those that matter most first. */
  readonly factors: readonly Factor<S>[];
}

export interface SearchOptions<S extends Setting> {
  /** Ms of the work that all settings are measured by. It may fail, and ends the search with that. */
  readonly measure: (setting: S) => Promise<number>;
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

export interface SearchProgress<S extends Setting> {
  /** What is tried: a factor's name, `together`, or `against the defaults`. */
  readonly stage: string;
  readonly measured: number;
  /** Measurements at most. */
  readonly most: number;
  /** At most. */
  readonly leftMs: number;
  /** What looks fastest so far, and its time by that of the defaults; undefined while nothing was measured often enough. */
  readonly best: { readonly setting: S; readonly ratio: number } | undefined;
}

export interface Tried<S extends Setting> {
  readonly setting: S;
  readonly rounds: number;
  /** Time by that of the defaults. */
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
  /** The fastest first. */
  readonly tried: readonly Tried<S>[];
  readonly measurements: number;
}

/** One of so many of the measurements of an exhaustive search: where the defaults, which are in every round, are slow, a fifth of its time. */
const PARTS = 6;
/** Of measurements and time, for finding out what looks best; the rest is for proving that it is better. */
const EXPLORING = 0.5;
/** A space of fewer is searched as one of so many: less tells nothing. */
const LEAST_SETTINGS = 7;
/** As how many options the settings count that are tried together in the end. */
const FINALISTS = 4;
/** Rounds that a factor is tried in, of those of an exhaustive search. */
const TRYING = 1 / 3;
/** What is faster by less is not worth another setting. */
const MARGIN = Math.log(1.01);
/** A second choice that is slower by more is not tried with others: no interaction makes up for it. */
const PLAUSIBLE = Math.log(1.25);
/** How probable it may be at most that a setting is dropped although half of the rounds would speak for it. */
const DROP_ALPHA = 0.2;
/** How probable it may be at most that settings are kept which are no better than the defaults, and that either end of a shown interval is wrong. */
const VERDICT_ALPHA = 0.05;
/** Rounds of a comparison: what is not told by then is too small a difference. */
const MOST_COMPARED = 120;
/** Ratios that make a standing worth telling. */
const TELLING = 3;

/** @throws the signal's reason; what `measure` throws */
export async function searchSettings<S extends Setting>(space: Space<S>, options: SearchOptions<S>): Promise<Found<S>> {
  return await new Search(space, options).run();
}

/** How many settings a space has. */
export function countSettings<S extends Setting>({ factors }: Space<S>): number {
  return factors.reduce((product, { options }) => product * options.length, 1);
}

/** Every setting of a space. */
export function everySetting<S extends Setting>({ defaults, factors }: Space<S>): S[] {
  let settings = [defaults];
  for (const { options } of factors) {
    settings = settings.flatMap((setting) => options.map((option) => ({ ...setting, ...option })));
  }
  return settings;
}

/** A factor that was tried by itself. */
interface Raced<S extends Setting> {
  /** Behind the best, the fastest first. `contends`: it may be as good. */
  readonly others: readonly { readonly option: Partial<S>; readonly contends: boolean }[];
  /** What was best then. */
  readonly beside: S;
}

class Search<S extends Setting> {
  readonly #space: Space<S>;
  readonly #options: SearchOptions<S>;
  readonly #rounds: Rounds<S>;
  readonly #started: number;
  readonly #most: number;
  #measured = 0;
  #stage = '';
  /** Of the step that is under way. */
  #endsAt = 0;
  /** By time. */
  #cutShort = false;

  constructor(space: Space<S>, options: SearchOptions<S>) {
    this.#space = space;
    this.#options = options;
    this.#rounds = new Rounds(space.defaults, (setting) => this.#measure(setting), options.random);
    this.#started = options.now();
    this.#most = mostOf(space, options.rounds);
  }

  async run(): Promise<Found<S>> {
    const { defaults } = this.#space;
    const candidate = await this.#explore();
    const isDefault = keyOf(candidate) === keyOf(defaults);
    const ratio = isDefault ? null : await this.#compare(candidate);
    const better = ratio !== null && ratio.high < 1;
    const slower = ratio === null ? isDefault && !this.#cutShort : ratio.low > 1;
    return {
      ...{ candidate, ratio },
      chosen: better ? candidate : defaults,
      end: better ? 'better' : slower ? 'not_better' : 'undecided',
      tried: this.#rounds.settings
        .map((setting) => this.#triedOf(setting))
        .filter(({ rounds }) => rounds > 0)
        .sort((a, b) => a.ratio.median - b.ratio.median),
      measurements: this.#measured,
    };
  }

  /** What looks best. */
  async #explore(): Promise<S> {
    const { rounds } = this.#options;
    const { defaults, factors } = this.#space;
    let best = defaults;
    const raced: Raced<S>[] = [];
    for (const [n, { name, options }] of factors.entries()) {
      this.#stage = name;
      const settings = options.map((option): S => ({ ...best, ...option }));
      // Nobody takes the measurements of those behind.
      const behind = factors.slice(n + 1).reduce((sum, other) => sum + other.options.length, FINALISTS);
      const alive = await this.#race(settings, Math.ceil(TRYING * rounds), options.length / (options.length + behind));
      best = this.#better(alive, best);
      raced.push({ others: this.#othersOf(options, settings, best), beside: best });
    }
    // What was not told from the best, and what may be another where other factors have changed since.
    const alone = raced.flatMap(({ others, beside }) =>
      others
        .filter(({ contends }) => contends || keyOf(beside) !== keyOf(best))
        .map(({ option }): S => ({ ...best, ...option })),
    );
    const seconds = raced.flatMap(({ others }) => others.slice(0, 1));
    const pairs = seconds.flatMap((one, n) =>
      seconds.slice(n + 1).map((other): S => ({ ...best, ...one.option, ...other.option })),
    );
    this.#stage = 'together';
    return this.#better(await this.#race([best, ...alone, ...pairs], rounds, 1), best);
  }

  /** The options of a factor behind the best, in their order, without those that are so slow that nothing makes up for it. */
  #othersOf(options: readonly Partial<S>[], settings: readonly S[], best: S): Raced<S>['others'] {
    const limit = this.#rounds.standing(best) + PLAUSIBLE;
    return options
      .map((option, n) => ({ option, setting: settings[n]!, standing: this.#rounds.standing(settings[n]!) }))
      .filter(
        ({ setting, standing }) => keyOf(setting) !== keyOf(best) && standing <= limit && Number.isFinite(standing),
      )
      .sort((a, b) => a.standing - b.standing)
      .map(({ option, setting }) => ({ option, contends: this.#canWin(setting, best) }));
  }

  /**
   * Rounds of these until one is left, or the rounds are over, or time, or the given share of the measurements that are left for
   * finding out what looks best. Resolves to those that may be the fastest.
   */
  async #race(settings: readonly S[], rounds: number, share: number): Promise<readonly S[]> {
    let alive = settings;
    const most = this.#measured + share * (EXPLORING * this.#most - this.#measured);
    for (let round = 0; round < rounds && alive.length > 1; round++) {
      if (!(await this.#play(alive, most, EXPLORING))) break;
      const leader = this.#fastest(alive);
      alive = alive.filter((setting) => setting === leader || this.#canWin(setting, leader));
    }
    return alive;
  }

  /** Not where it is slower than the leader by all that can be told, or faster by too little to matter. */
  #canWin(setting: S, leader: S): boolean {
    return medianInterval(this.#rounds.ratios(setting, leader), DROP_ALPHA).low <= -MARGIN;
  }

  /** The fastest of `settings` where it is faster than `best` by enough to matter. */
  #better(settings: readonly S[], best: S): S {
    const fastest = this.#fastest(settings);
    const ratios = this.#rounds.ratios(fastest, best);
    return ratios.length > 0 && median(ratios) < -MARGIN ? fastest : best;
  }

  #fastest(settings: readonly S[]): S {
    return settings.reduce((best, next) => (this.#rounds.standing(next) < this.#rounds.standing(best) ? next : best));
  }

  /** Against the defaults, in rounds that had no part in choosing it, until it is told which is faster. Null without any. */
  async #compare(candidate: S): Promise<Interval | null> {
    this.#stage = 'against the defaults';
    let ratio: Interval | null = null;
    for (let rounds = 1; rounds <= MOST_COMPARED; rounds++) {
      if (!(await this.#play([candidate], this.#most, 1))) break;
      ratio = ratioOf(this.#rounds.ratios(candidate, undefined, rounds));
      if (ratio.low > 1 || ratio.high < 1) break;
    }
    return ratio;
  }

  /** One round, where it has room in `most` measurements and this share of the time; else false. */
  async #play(settings: readonly S[], most: number, share: number): Promise<boolean> {
    const { budgetMs } = this.#options;
    this.#endsAt = this.#started + share * budgetMs;
    if (this.#measured + this.#rounds.size(settings) > most) return false;
    try {
      await this.#rounds.play(settings);
      return true;
    } catch (error) {
      if (!(error instanceof TimeIsUp)) throw error;
      this.#cutShort = true;
      return false;
    }
  }

  async #measure(setting: S): Promise<number> {
    const { measure, now, signal, onProgress } = this.#options;
    signal.throwIfAborted();
    // A round that is not whole does not count.
    if (now() >= this.#endsAt) throw new TimeIsUp();
    const ms = await measure(setting);
    this.#measured++;
    onProgress(this.#progress());
    return ms;
  }

  #progress(): SearchProgress<S> {
    const { now, budgetMs } = this.#options;
    const passed = now() - this.#started;
    const byCount = (passed / this.#measured) * (this.#most - this.#measured);
    const telling = this.#rounds.settings.filter((setting) => this.#rounds.ratios(setting).length >= TELLING);
    const best = telling.length === 0 ? undefined : this.#fastest(telling);
    return {
      ...{ stage: this.#stage, measured: this.#measured, most: this.#most },
      leftMs: Math.max(0, Math.min(byCount, budgetMs - passed)),
      best: best === undefined ? undefined : { setting: best, ratio: Math.exp(this.#rounds.standing(best)) },
    };
  }

  #triedOf(setting: S): Tried<S> {
    const ratios = this.#rounds.ratios(setting);
    return { setting, rounds: ratios.length, ratio: ratioOf(ratios) };
  }
}

/** Of logarithms of ratios. */
function ratioOf(logarithms: readonly number[]): Interval {
  const { median: middle, low, high } = medianInterval(logarithms, VERDICT_ALPHA);
  return { median: Math.exp(middle), low: Math.exp(low), high: Math.exp(high) };
}

/** Measurements that a search of such a space takes at most. */
function mostOf<S extends Setting>(space: Space<S>, rounds: number): number {
  const counts = space.factors.map(({ options }) => options.length);
  // The defaults take part as well. Finalists: the best, other options, and pairs of second choices.
  const trying = counts.reduce((sum, count) => sum + (count + 1) * Math.ceil(TRYING * rounds), 0);
  const finalists = counts.reduce((sum, count) => sum + count - 1, 1) + (counts.length * (counts.length - 1)) / 2;
  const all = trying + (finalists + 1) * rounds + 2 * MOST_COMPARED;
  return Math.min(all, Math.floor((rounds * Math.max(LEAST_SETTINGS, countSettings(space))) / PARTS));
}

/** In the midst of a round. */
class TimeIsUp extends Error {}
