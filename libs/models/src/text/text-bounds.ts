/** Which texts a tokenizer gets: no longer than the library can stand, and none in which it would read the same for minutes. */
import { ShoalError } from '@shoal/contracts';

/**
 * Longest text that is tokenised, in UTF-16 units, whatever a body may hold: the library ends the whole process where its
 * regular expressions go back 10 million times for one match, and honest ones do so on runs of 5 million characters.
 */
export const MAX_TEXT = 1024 * 1024;

/** Of the squares of the lengths of stretches that are read from each of their characters on: half a second to two. */
const MOST_READ = 8192 ** 2;

export class TextBounds {
  readonly #stretches: readonly RegExp[];
  readonly #growth: number;

  /** `rescanned`: as `rescanned` finds them; `growth`: how many times longer a text becomes before. */
  constructor(rescanned: readonly (string | null)[], growth: number) {
    this.#stretches = [...new Set(rescanned)].map((characters) => new RegExp(`${characters ?? '.'}+`, 'gsu'));
    this.#growth = growth;
  }

  /** @throws ShoalError `input_too_long`, in words that go on from the text: "input[3] ..." */
  check(text: string): void {
    const { length } = text;
    if (length > MAX_TEXT) {
      throw new ShoalError('input_too_long', `has ${length} characters; no more than ${MAX_TEXT} are tokenised`);
    }
    for (const stretch of this.#stretches) {
      let read = 0;
      for (const [found] of text.matchAll(stretch)) read += (found.length * this.#growth) ** 2;
      if (read <= MOST_READ) continue;
      const most = Math.floor(Math.sqrt(MOST_READ) / this.#growth);
      throw new ShoalError(
        'input_too_long',
        `has too many characters on end that this model's tokenizer reads again and again: ${stretch.source}; ${most} may be`,
      );
    }
  }
}
