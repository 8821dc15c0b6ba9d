/** One answer as it grows on this worker: tokens come in, text is read from them, pieces go to the log, and the whole at its end. */
import type { GeneratedText, Savings, TextPiece, WireLogprobs } from '@shoal/contracts';
import type { Finish, NewToken } from '@shoal/generation';
import type { AnswerPiece, AnswerText } from '@shoal/models';
import type { Unread } from './text-reader.js';

/** Nothing comes before the first token of a prompt. */
const UNKNOWN: NewToken = {
  id: 0,
  logprob: Number.NaN,
  topIds: new Uint32Array(0),
  topValues: new Float32Array(0),
};

const NOTHING: Savings = { cachedTokens: 0, accepted: 0, rejected: 0 };

export class Answer {
  readonly #text: AnswerText;
  /** Alternatives of each token; null: no log probabilities. */
  readonly #top: number | null;
  readonly #tokens: NewToken[] = [];
  readonly #prompt: NewToken[] = [];
  #shown = '';
  #savings = NOTHING;
  /** Tokens whose text was read, and tokens and characters that are in the log. */
  #read = 0;
  #written = 0;
  #writtenText = 0;
  /** What the log says that was spared, now and when the answer came here; undefined: nothing yet. */
  #writtenSavings: Savings | undefined;
  #restored: Savings | undefined;

  constructor(text: AnswerText, top: number | null) {
    this.#text = text;
    this.#top = top;
  }

  /** Of all tokens so far. */
  get ids(): Uint32Array {
    return idsOf(this.#tokens);
  }

  get length(): number {
    return this.#tokens.length;
  }

  /** Tokens that are in the log. */
  get written(): number {
    return this.#written;
  }

  /** The stop string that has ended it. */
  get stopped(): string | null {
    return this.#text.stopped;
  }

  /** Takes what is in the log, made here or elsewhere; it is to be read before anything else. */
  restore(pieces: readonly TextPiece[]): void {
    for (const piece of pieces) this.add(tokensOf(piece));
    this.#written = this.#tokens.length;
    this.#writtenText = pieces.reduce((sum, { text }) => sum + text.length, 0);
    this.#restored = pieces.findLast(({ savings }) => savings !== undefined)?.savings;
    this.#savings = this.#restored ?? NOTHING;
    this.#writtenSavings = this.#restored;
  }

  /** What was spared here so far. The prompt of an answer that goes on counts where it was begun. */
  save({ cachedTokens, accepted, rejected }: Savings): void {
    const before = this.#restored;
    this.#savings = {
      cachedTokens: before?.cachedTokens ?? cachedTokens,
      accepted: (before?.accepted ?? 0) + accepted,
      rejected: (before?.rejected ?? 0) + rejected,
    };
  }

  /** How likely the prompt's tokens were, from the second on. */
  addPrompt(tokens: readonly NewToken[]): void {
    this.#prompt.push(...tokens);
  }

  add(tokens: readonly NewToken[]): void {
    if (this.stopped === null) this.#tokens.push(...tokens);
  }

  /** What has come and was not read. */
  get unread(): Unread {
    return { text: this.#text, ids: this.#tokens.slice(this.#read).map(({ id }) => id) };
  }

  /** What was read. Behind a stop string nothing belongs to the answer. */
  show({ text, taken, stopped }: AnswerPiece): void {
    this.#shown += text;
    this.#read += taken;
    if (stopped !== null) this.#tokens.length = this.#read;
  }

  /** Nothing more comes: what was held back is shown. */
  async end(): Promise<void> {
    this.show(await this.#text.end());
  }

  /** What the log lacks of the tokens that were read; null where there are none. */
  takePiece(): TextPiece | null {
    const tokens = this.#tokens.slice(this.#written, this.#read);
    const text = this.#shown.slice(this.#writtenText);
    if (tokens.length === 0) return null;
    const piece = {
      from: this.#written,
      ids: idsOf(tokens),
      text,
      ...(this.#top !== null && { logprobs: logprobsOf(tokens, this.#top) }),
      ...(this.#savings !== this.#writtenSavings && { savings: this.#savings }),
    };
    this.#writtenSavings = this.#savings;
    this.#written = this.#read;
    this.#writtenText = this.#shown.length;
    return piece;
  }

  /** `promptIds`: the prompt is echoed. `ownStops`: stop tokens of the caller's. */
  output(finish: Finish, ownStops: readonly number[], promptIds: Uint32Array | null): GeneratedText {
    const { reason, stop } = finish;
    const own = stop !== null && ownStops.includes(stop.id) ? stop.id : null;
    // The token that ended it was made as well, though it says nothing; behind a stop string there is none.
    const tokens = stop === null || this.stopped !== null ? this.#tokens : [...this.#tokens, stop];
    const top = this.#top;
    return {
      kind: 'generation',
      ids: idsOf(tokens),
      text: this.#shown,
      finish: this.stopped === null ? reason : 'stop',
      stopped: this.stopped ?? own,
      ...this.#savings,
      ...(top !== null && { logprobs: logprobsOf(tokens, top) }),
      ...(promptIds && { promptIds }),
      ...(promptIds && top !== null && { promptLogprobs: logprobsOf([UNKNOWN, ...this.#prompt], top) }),
    };
  }
}

function idsOf(tokens: readonly NewToken[]): Uint32Array {
  return Uint32Array.from(tokens, ({ id }) => id);
}

function logprobsOf(tokens: readonly NewToken[], top: number): WireLogprobs {
  const topIds = new Uint32Array(tokens.length * top);
  const topValues = new Float32Array(tokens.length * top).fill(Number.NaN);
  tokens.forEach((token, n) => {
    topIds.set(token.topIds.subarray(0, top), n * top);
    topValues.set(token.topValues.subarray(0, top), n * top);
  });
  return { values: Float32Array.from(tokens, ({ logprob }) => logprob), top, topIds, topValues };
}

function tokensOf({ ids, logprobs }: TextPiece): NewToken[] {
  const top = logprobs?.top ?? 0;
  return Array.from(ids, (id, n) => ({
    id,
    logprob: logprobs?.values[n] ?? Number.NaN,
    topIds: logprobs?.topIds.subarray(n * top, (n + 1) * top) ?? new Uint32Array(0),
    topValues: logprobs?.topValues.subarray(n * top, (n + 1) * top) ?? new Float32Array(0),
  }));
}
