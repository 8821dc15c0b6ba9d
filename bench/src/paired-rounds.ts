/**
 * What settings took, round by round. In a round each that takes part is measured once, in random order: what else the machine
 * does falls on all alike, and ratios within a round tell them apart.
 */
import { keyOf, logOfRatio, type Setting, type Taken } from '@shoal/optimizer';
import { shuffled } from '@shoal/training';

export class PairedRounds {
  readonly #measure: (setting: Setting) => Promise<Taken>;
  readonly #random: () => number;
  readonly #rounds: ReadonlyMap<string, Taken>[] = [];

  constructor(measure: (setting: Setting) => Promise<Taken>, random: () => number) {
    this.#measure = measure;
    this.#random = random;
  }

  get count(): number {
    return this.#rounds.length;
  }

  async play(settings: readonly Setting[]): Promise<void> {
    const round = new Map<string, Taken>();
    for (const setting of shuffled(settings, this.#random)) round.set(keyOf(setting), await this.#measure(setting));
    this.#rounds.push(round);
  }

  /** Logarithms of the ratio of the two in each round that both took part in, by the clock that a search compares them by. */
  ratios(of: Setting, to: Setting, logOf = logOfRatio): number[] {
    return this.#rounds.flatMap((round) => {
      const [one, other] = [round.get(keyOf(of)), round.get(keyOf(to))];
      return one === undefined || other === undefined ? [] : [logOf(one, other)];
    });
  }
}
