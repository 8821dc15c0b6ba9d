/** What a key may be: it stays below the store's folder, and every kind of store can hold it. */
import { invalid } from './failures.js';

/** File systems take names of 255 bytes, S3 keys of 1,024: as much again is left for a prefix. */
const MAX_SEGMENT = 200;
const MAX_KEY = 500;

const SEGMENT = /^[A-Za-z0-9._-]+$/;

export function isKey(key: string): boolean {
  return key.length <= MAX_KEY && key.split('/').every(isSegment);
}

/** @throws ShoalError `invalid_request` */
export function checkKey(key: string): void {
  if (isKey(key)) return;
  throw invalid(
    `key: must be segments of letters, digits, ".", "_" and "-" joined by "/", none "." or "..", of ${MAX_SEGMENT} characters at most and ${MAX_KEY} together.`,
  );
}

/** How keys may begin: in the middle of a segment, too. @throws ShoalError `invalid_request` */
export function checkPrefix(prefix: string): void {
  if (isKey(`${prefix}x`)) return;
  throw invalid('prefix: must be the beginning of a key, or empty.');
}

function isSegment(segment: string): boolean {
  return SEGMENT.test(segment) && segment.length <= MAX_SEGMENT && segment !== '.' && segment !== '..';
}
