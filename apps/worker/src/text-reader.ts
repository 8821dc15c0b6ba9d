/** Reads the tokens of answers as they come: those of all answers that have grown in one call. */
import type { GenerationSettings } from '@shoal/contracts';
import { type AnswerPiece, AnswerText, addToAnswers, type StreamDecoder } from '@shoal/models';

/** New tokens of an answer. */
export interface Unread {
  readonly text: AnswerText;
  readonly ids: readonly number[];
}

export class TextReader {
  readonly #decoderOf: (skipSpecialTokens: boolean) => StreamDecoder;
  readonly #skips = new WeakMap<AnswerText, boolean>();

  constructor(decoderOf: (skipSpecialTokens: boolean) => StreamDecoder) {
    this.#decoderOf = decoderOf;
  }

  open(settings: GenerationSettings): AnswerText {
    const {
      skip_special_tokens: skips,
      stop,
      min_tokens: minTokens,
      include_stop_str_in_output: includeStop,
    } = settings;
    const text = new AnswerText(this.#decoderOf(skips), { stop, includeStop, minTokens });
    this.#skips.set(text, skips);
    return text;
  }

  /** What each of them has more to show, in order. */
  async read(unread: readonly Unread[]): Promise<AnswerPiece[]> {
    const pieces: AnswerPiece[] = new Array(unread.length);
    for (const skips of [true, false]) {
      const places = [...unread.keys()].filter((n) => this.#skips.get(unread[n]!.text) === skips);
      if (places.length === 0) continue;
      const added = places.map((n) => ({ answer: unread[n]!.text, ids: unread[n]!.ids }));
      const read = await addToAnswers(this.#decoderOf(skips), added);
      places.forEach((n, i) => {
        pieces[n] = read[i]!;
      });
    }
    return pieces;
  }
}
