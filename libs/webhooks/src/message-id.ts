/** Ids of messages. */
import { createHash } from 'node:crypto';
import { ulid } from 'ulid';

/** A ULID's random part. */
const DIGITS = 16;

/**
 * `msg_<ulid>` that follows from its arguments, so that whoever makes a message again makes the same one. `at` is in Unix
 * ms. It holds no dot, which separates the parts of what is signed.
 */
export function messageId(at: number, ...source: readonly string[]): string {
  const digest = createHash('sha256').update(JSON.stringify(source)).digest();
  let next = 0;
  return `msg_${ulid(at, () => digest[next++ % DIGITS]! / 256).toLowerCase()}`;
}
