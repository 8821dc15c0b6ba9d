/**
 * From looks at a job to the events of a stream of answers that its reader has not had. Pure: a reader that was cut off goes on
 * at any replica. The job is always looked at from its beginning: what of an answer is left at its end, behind its pieces,
 * depends on every piece before. Answers and pieces are numbered apart, so a piece may come behind the whole answer that it
 * is a part of, and counts for nothing then.
 */
import { type GeneratedText, type ItemResult, type JobRecord, ShoalError } from '@shoal/contracts';
import { charactersOf, headOf, likelyFrom, type TextFace, UsageCount } from '@shoal/intake';
import type { TokenTexts } from '@shoal/models';
import type { JobPart, JobPiece, JobProgress } from '@shoal/queue';
import { faultOf } from './job-runs.js';
import { openAiErrorOf } from './openai-error.js';
import { formatPosition, type TextPosition } from './text-position.js';

export const DONE = 'data: [DONE]\n\n';

/** How much of one answer was told. */
interface Told {
  tokens: number;
  /** UTF-16 units, and characters of the tokens for the offsets of log probabilities. */
  length: number;
  offset: number;
}

export interface TextStreamOptions {
  readonly face: TextFace;
  readonly record: JobRecord;
  /** Undefined: no log probabilities are told. */
  readonly texts: TokenTexts | undefined;
  /** Whether the last event tells what the call took, */
  readonly usage: boolean;
  /** and whether events have ids. */
  readonly resumable: boolean;
  /** Null: from the beginning. */
  readonly position: TextPosition | null;
}

const NOTHING: TextPosition = { pieces: 0, parts: 0, rest: false };

export class TextStream {
  readonly #options: TextStreamOptions;
  readonly #had: TextPosition;
  /** An event's text up to its choice, and behind it. */
  readonly #before: string;
  readonly #after: string;
  readonly #told = new Map<number, Told>();
  readonly #usage: UsageCount;
  /** Indices of answers that are told, to their last character. */
  readonly #ended = new Set<number>();
  /** What the reader has not had, held back until all that it had was seen. */
  #newPieces: JobPiece[] = [];
  #newParts: JobPart[] = [];
  /** Numbers of the last ones that were folded in. */
  #pieces = 0;
  #parts = 0;
  #opened: boolean;
  /** Nothing comes after it: `[DONE]` was written. */
  #over = false;

  constructor(options: TextStreamOptions) {
    this.#options = options;
    this.#had = options.position ?? NOTHING;
    this.#usage = new UsageCount(options.record);
    const head = JSON.stringify(headOf(options.face, options.record, 'chunk'));
    this.#before = `${head.slice(0, -1)},"choices":[`;
    this.#after = `]${options.usage ? ',"usage":null' : ''}}\n\n`;
    this.#opened = options.position !== null;
  }

  /** The events that a look brings, as they are written; each is made when it is asked for. */
  *next({ record, parts, pieces, more, last }: JobProgress): Generator<string, void> {
    for (const piece of pieces) {
      if (piece.seq > this.#had.pieces) this.#newPieces.push(piece);
      else this.#count(piece);
    }
    for (const part of last && !record.meta.array ? partsOf(record) : parts) {
      if (part.seq > this.#had.parts) this.#newParts.push(part);
      else this.#answerOf(part);
      if (part.seq <= this.#had.parts + Number(this.#had.rest)) this.#ended.add(part.index);
    }
    // What is not there behind the last of all was never told: nothing is held back for it.
    if (more && !this.#hasSeenAllHad()) return;
    const [newPieces, newParts] = [this.#newPieces, this.#newParts];
    this.#newPieces = [];
    this.#newParts = [];
    for (const piece of newPieces) yield this.#grow(piece);
    for (const part of newParts) yield this.#end(part);
    if (last && !this.#over) yield this.#close(record);
  }

  /** Tells why there is no more. */
  fail(error: ShoalError): string {
    if (this.#over) return '';
    this.#over = true;
    return `data: ${JSON.stringify(openAiErrorOf(error))}\n\n${DONE}`;
  }

  #hasSeenAllHad(): boolean {
    const { pieces, parts, rest } = this.#had;
    return this.#pieces >= pieces && this.#parts >= parts && (!rest || this.#newParts.length > 0);
  }

  #grow(piece: JobPiece): string {
    const { index, piece: grown } = piece;
    const { offset } = this.#toldOf(index);
    this.#count(piece);
    if (this.#ended.has(index) || this.#over) return '';
    if (grown.text === '' && (grown.logprobs === undefined || grown.ids.length === 0)) return '';
    const { face, texts } = this.#options;
    const choice = face.growth(index, { ...grown, offset }, texts);
    return this.#open() + this.#event(choice, formatPosition(this.#pieces, this.#parts));
  }

  #end(part: JobPart): string {
    if (this.#over) return '';
    const { seq, index, result } = part;
    const parts = this.#parts;
    const answer = this.#answerOf(part);
    if (answer === undefined) return this.fail(faultOf(result.error!));
    const rest = this.#ended.has(index) ? '' : this.#rest(index, answer, parts);
    this.#ended.add(index);
    const ending = this.#event(this.#options.face.ending(index, answer), formatPosition(this.#pieces, seq));
    return this.#open() + rest + ending;
  }

  /** Undefined where it failed. */
  #answerOf({ seq, index, result }: JobPart): GeneratedText | undefined {
    this.#parts = seq;
    if (result.error) return undefined;
    const answer = result.output;
    if (answer?.kind !== 'generation') throw new Error('a text-generation job has an output that is no text');
    this.#usage.add(index, answer);
    return answer;
  }

  /** What of an answer was in no piece: the last tokens are not written twice. */
  #rest(index: number, answer: GeneratedText, parts: number): string {
    const { face, texts } = this.#options;
    const { tokens, length, offset } = this.#toldOf(index);
    const text = answer.text.slice(length);
    const likely = answer.logprobs && likelyFrom({ ids: answer.ids, logprobs: answer.logprobs }, tokens);
    if (text === '' && !likely?.ids.length) return '';
    const growth = { text, ids: likely?.ids ?? answer.ids.subarray(tokens), logprobs: likely?.logprobs, offset };
    return this.#event(face.growth(index, growth, texts), formatPosition(this.#pieces, parts, true));
  }

  #close(record: JobRecord): string {
    if (record.error) return this.fail(faultOf(record.error));
    if (this.#usage.answers < record.total) {
      return this.fail(new ShoalError('internal_error', 'The answer ended without its whole text.'));
    }
    this.#over = true;
    if (!this.#options.usage) return DONE;
    const usage = JSON.stringify(this.#usage.total());
    return `data: ${this.#before}],"usage":${usage}}\n\n${DONE}`;
  }

  /** What is told of every answer before anything else. */
  #open(): string {
    if (this.#opened) return '';
    this.#opened = true;
    const { face, record } = this.#options;
    const openings = Array.from({ length: record.total }, (_, index) => face.opening(index)).filter((each) => each);
    return openings
      .map((choice, n) => this.#event(choice!, n === openings.length - 1 ? formatPosition(0, 0) : undefined))
      .join('');
  }

  #event(choice: object, id: string | undefined): string {
    const line = this.#options.resumable && id !== undefined ? `id: ${id}\n` : '';
    return `${line}data: ${this.#before}${JSON.stringify(choice)}${this.#after}`;
  }

  #toldOf(index: number): Told {
    let told = this.#told.get(index);
    if (!told) {
      told = { tokens: 0, length: 0, offset: 0 };
      this.#told.set(index, told);
    }
    return told;
  }

  #count({ seq, index, piece: { ids, text, logprobs } }: JobPiece): void {
    this.#pieces = seq;
    const told = this.#toldOf(index);
    told.tokens += ids.length;
    told.length += text.length;
    const { texts } = this.#options;
    if (logprobs && texts) for (const id of ids) told.offset += charactersOf(texts.bytesOf(id));
  }
}

/** The results of a job that is no array, which come all at once. */
function partsOf({ results }: JobRecord): JobPart[] {
  return results.flatMap((result: ItemResult | null, index) => (result ? [{ seq: index + 1, index, result }] : []));
}
