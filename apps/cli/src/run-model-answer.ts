/** One answer in the terminal as it grows: tokens come, and their text is shown as soon as it is known to belong to it. */
import type { GenerationSettings } from '@shoal/contracts';
import { AnswerText, addToAnswers, type StreamDecoder } from '@shoal/models';

export class GrowingAnswer {
  text = '';
  tokens = 0;
  /** Tokens of the prompt that were there already. */
  cached = 0;
  /** In ms from its beginning. */
  firstMs = 0;
  latestMs = 0;
  readonly #started = performance.now();
  readonly #decoder: StreamDecoder;
  readonly #answer: AnswerText;
  readonly #write: (text: string) => void;

  constructor(decoder: StreamDecoder, settings: GenerationSettings, write: (text: string) => void) {
    const { stop, include_stop_str_in_output: includeStop, min_tokens: minTokens } = settings;
    this.#decoder = decoder;
    this.#answer = new AnswerText(decoder, { stop, includeStop, minTokens });
    this.#write = write;
  }

  /** A stop string has ended it. */
  get stopped(): boolean {
    return this.#answer.stopped !== null;
  }

  /** Tokens are there now, to be read when it is their turn. */
  came(): void {
    this.latestMs = performance.now() - this.#started;
    this.firstMs ||= this.latestMs;
  }

  async read(ids: readonly number[]): Promise<void> {
    const [piece] = await addToAnswers(this.#decoder, [{ answer: this.#answer, ids }]);
    this.tokens += piece!.taken;
    this.#show(piece!.text);
  }

  async end(): Promise<void> {
    this.#show((await this.#answer.end()).text);
  }

  #show(text: string): void {
    this.text += text;
    if (text !== '') this.#write(text);
  }
}
