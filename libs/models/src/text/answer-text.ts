/** The text of an answer as its tokens come, up to a stop string, of which no part is shown before it is known to be none. */
import { addTokens, type StreamDecoder, TextStream } from './text-stream.js';

export interface AnswerOptions {
  readonly stop: readonly string[];
  /** Whether the answer ends behind the stop string, not before it. */
  readonly includeStop: boolean;
  /** Stop strings that are complete before so many tokens do not count. */
  readonly minTokens: number;
}

export interface AnswerPiece {
  /** Safe to show. */
  readonly text: string;
  /** The stop string that ended the answer. */
  readonly stopped: string | null;
  /** How many of the ids belong to the answer: those behind the stop string do not. */
  readonly taken: number;
}

export class AnswerText {
  readonly stream: TextStream;
  readonly #options: AnswerOptions;
  readonly #stops: readonly StopString[];
  /** The end of the text, that may be the beginning of a stop string. */
  #held = '';
  #tokens = 0;
  #stopped: string | null = null;

  constructor(decoder: StreamDecoder, options: AnswerOptions) {
    this.stream = new TextStream(decoder);
    this.#options = options;
    this.#stops = options.stop.map((text) => new StopString(text));
  }

  get stopped(): string | null {
    return this.#stopped;
  }

  /** What is left when no more tokens come: nothing after a stop string. */
  async end(): Promise<AnswerPiece> {
    if (this.#stopped !== null) return { text: '', stopped: this.#stopped, taken: 0 };
    const text = this.#show(await this.stream.end());
    const rest = this.#held;
    this.#held = '';
    return { text: this.#stopped === null ? text + rest : text, stopped: this.#stopped, taken: 0 };
  }

  /** One more token, which added `text` to the stream. */
  take(text: string): string {
    this.#tokens++;
    return this.#show(text);
  }

  #show(added: string): string {
    const text = this.#held + added;
    for (let at = this.#held.length; at < text.length; at++) {
      for (const stop of this.#stops) {
        if (!stop.next(text.charCodeAt(at)) || this.#tokens < this.#options.minTokens) continue;
        this.#stopped = stop.text;
        this.#held = '';
        return text.slice(0, at + 1 - (this.#options.includeStop ? 0 : stop.text.length));
      }
    }
    const held = Math.max(0, ...this.#stops.map(({ matched }) => matched));
    this.#held = text.slice(text.length - held);
    return text.slice(0, text.length - held);
  }
}

/** Adds tokens to answers: those of a step are decoded together. Nothing is added to an answer that has stopped. */
export async function addToAnswers(
  decoder: StreamDecoder,
  added: readonly { readonly answer: AnswerText; readonly ids: ArrayLike<number> }[],
): Promise<AnswerPiece[]> {
  const texts = added.map(() => '');
  const taken = added.map(() => 0);
  const goesOn = (n: number) => taken[n]! < added[n]!.ids.length && added[n]!.answer.stopped === null;
  for (;;) {
    const open = [...added.keys()].filter(goesOn);
    if (open.length === 0) break;
    const tokens = open.map((n) => ({ stream: added[n]!.answer.stream, id: added[n]!.ids[taken[n]!]! }));
    for (const [i, text] of (await addTokens(decoder, tokens)).entries()) {
      const n = open[i]!;
      texts[n] += added[n]!.answer.take(text);
      taken[n]!++;
    }
  }
  return added.map(({ answer }, n) => ({ text: texts[n]!, stopped: answer.stopped, taken: taken[n]! }));
}

/** Knuth, Morris and Pratt: each character costs the same, whatever the stop string is. */
class StopString {
  readonly text: string;
  /** For each length of a beginning: the longest shorter beginning that it ends with. */
  readonly #shorter: number[] = [0, 0];
  /** Length of the longest beginning that the text ends with. */
  matched = 0;

  constructor(text: string) {
    this.text = text;
    for (let length = 1; length < text.length; length++) {
      this.#shorter.push(this.#extended(this.#shorter[length]!, text.charCodeAt(length)));
    }
  }

  /** Whether the text ends with the stop string now. */
  next(unit: number): boolean {
    this.matched = this.#extended(this.matched, unit);
    if (this.matched < this.text.length) return false;
    this.matched = this.#shorter[this.matched]!;
    return true;
  }

  #extended(length: number, unit: number): number {
    while (length > 0 && this.text.charCodeAt(length) !== unit) length = this.#shorter[length]!;
    return this.text.charCodeAt(length) === unit ? length + 1 : 0;
  }
}
