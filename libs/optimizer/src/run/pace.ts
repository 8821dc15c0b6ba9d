/** How long trials take: what methods say, and what is known of measuring, held against the trials of this run. */
import { statSync } from 'node:fs';
import type { Candidate, Examples, Subject } from '../types.js';

/** Of measuring, in seconds: processes and sessions begin, and speeds are taken in three shapes. */
const FIXED = 20;
/** Of a text, for each byte of weights: original and candidate together, roughly as small encoders have it on one core. */
const PER_BYTE = 4e-10;
const LEAST_PER_TEXT = 0.004;
/** A trial that takes so many times as long as it should, and at least so many seconds, hangs. */
const [PATIENCE, LEAST_PATIENCE] = [20, 900];

/** What takes time: making by a method, or measuring. */
export type Work = `make ${string}` | 'measure';

export class Pace {
  readonly #perText: number;
  /** Seconds that were expected and seconds that it took, of each kind of work. */
  readonly #seen = new Map<Work, { expected: number; taken: number }>();

  constructor({ path }: Pick<Subject, 'path'>) {
    const bytes = statSync(path).size + (statSync(`${path}.data`, { throwIfNoEntry: false })?.size ?? 0);
    this.#perText = Math.max(LEAST_PER_TEXT, PER_BYTE * bytes);
  }

  /** Seconds. */
  making({ method, seconds }: Candidate): number {
    return seconds * this.#ratio(`make ${method}`);
  }

  measuring({ items }: Examples): number {
    return this.#measuring(items.length) * this.#ratio('measure');
  }

  made({ method, seconds }: Candidate, taken: number): void {
    this.#note(`make ${method}`, seconds, taken);
  }

  measured({ items }: Examples, taken: number): void {
    this.#note('measure', this.#measuring(items.length), taken);
  }

  /** Seconds after which a trial that is expected to take so many is ended. */
  static patience(expected: number): number {
    return Math.max(LEAST_PATIENCE, PATIENCE * expected);
  }

  #measuring(texts: number): number {
    return FIXED + texts * this.#perText;
  }

  #ratio(work: Work): number {
    const seen = this.#seen.get(work);
    return seen === undefined || seen.expected === 0 ? 1 : seen.taken / seen.expected;
  }

  #note(work: Work, expected: number, taken: number): void {
    const before = this.#seen.get(work) ?? { expected: 0, taken: 0 };
    this.#seen.set(work, { expected: before.expected + expected, taken: before.taken + taken });
  }
}
