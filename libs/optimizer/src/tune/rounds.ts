/**
 * What settings took, round by round. In a round each that takes part is measured once, in random order, and the default among
 * them: what else the machine does falls on all alike, and ratios within a round tell them apart.
 */
import { median } from './median-interval.js';

/** A value for each thing that can be set; two are one setting where they are equal and in the same order. */
export type Setting = Readonly<Record<string, string | number | boolean>>;

export class Rounds<S extends Setting> {
  readonly #defaults: S;
  readonly #measure: (setting: S) => Promise<number>;
  readonly #random: () => number;
  /** Logarithms of ms, by setting. */
  readonly #rounds: Map<string, number>[] = [];
  readonly #settings = new Map<string, S>();

  constructor(defaults: S, measure: (setting: S) => Promise<number>, random: () => number) {
    this.#defaults = defaults;
    this.#measure = measure;
    this.#random = random;
  }

  /** Of what one more round of these would measure: the default takes part in any case. */
  size(settings: readonly S[]): number {
    return this.#withDefault(settings).length;
  }

  async play(settings: readonly S[]): Promise<void> {
    const round = new Map<string, number>();
    for (const setting of this.#shuffled(this.#withDefault(settings))) {
      this.#settings.set(keyOf(setting), setting);
      round.set(keyOf(setting), Math.log(await this.#measure(setting)));
    }
    this.#rounds.push(round);
  }

  /** Logarithms of the ratio of the two in each of the latest rounds that both took part in. */
  ratios(of: S, to: S = this.#defaults, latest = Number.POSITIVE_INFINITY): number[] {
    const [a, b] = [keyOf(of), keyOf(to)];
    const both = this.#rounds.flatMap((round) => {
      const [one, other] = [round.get(a), round.get(b)];
      return one === undefined || other === undefined ? [] : [one - other];
    });
    return latest < both.length ? both.slice(both.length - latest) : both;
  }

  /** The logarithm of the time it takes by that of the default; infinite where it was never measured. */
  standing(setting: S): number {
    const ratios = this.ratios(setting);
    return ratios.length === 0 ? Number.POSITIVE_INFINITY : median(ratios);
  }

  /** Everything that was measured. */
  get settings(): readonly S[] {
    return [...this.#settings.values()];
  }

  #withDefault(settings: readonly S[]): S[] {
    return [...new Map([this.#defaults, ...settings].map((setting) => [keyOf(setting), setting])).values()];
  }

  /** Fisher and Yates. */
  #shuffled(settings: S[]): S[] {
    for (let n = settings.length - 1; n > 0; n--) {
      const other = Math.floor(this.#random() * (n + 1));
      [settings[n], settings[other]] = [settings[other]!, settings[n]!];
    }
    return settings;
  }
}

export function keyOf(setting: Setting): string {
  return JSON.stringify(setting);
}
