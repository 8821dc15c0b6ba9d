/** Which bytes of a blob are read. */
import { invalid } from './failures.js';
import type { ReadOptions } from './store.js';

export interface Slice {
  readonly first: number;
  /** Behind the last one. */
  readonly end: number;
}

/** @throws ShoalError `invalid_request` where the range is none */
export function checkRange(range: ReadOptions['range']): void {
  if (range === undefined) return;
  const { first, last } = range;
  if (Number.isSafeInteger(first) && Number.isSafeInteger(last) && first >= 0 && first <= last) return;
  throw invalid('range: must be two whole numbers from 0 on, the first one not above the last.');
}

/** Of a range what lies within a blob of `bytes`. */
export function sliceOf(range: ReadOptions['range'], bytes: number): Slice {
  if (range === undefined) return { first: 0, end: bytes };
  const first = Math.min(range.first, bytes);
  return { first, end: Math.max(first, Math.min(range.last + 1, bytes)) };
}
