/** How many texts an engine has room for. */
import { ShoalError } from '@shoal/contracts';

export interface Memory {
  /** Bytes that the process may have. */
  readonly limit: number;
  /** Of what is left of them, what the cache may have; one text has room in all of it. 1 where left out. */
  readonly share?: number;
  /** Bytes that it has once the model is loaded. */
  readonly resident: number;
  /** Of keys and values of one token. */
  readonly bytesPerToken: number;
  /** Of the largest block of one row of the cache: one layer's keys. */
  readonly bytesPerBlock: number;
  /** Whether memory of rows can be given back while the process runs. */
  readonly givesBack: boolean;
}

export interface Size {
  readonly rows: number;
  /** Tokens of prompt and answer together. */
  readonly context: number;
  /** Tokens of all rows together that may be in memory. */
  readonly budget: number;
  /** Bytes of memory that the cache takes when it is full, and what passes take beside it. */
  readonly bytes: number;
}

export const MAX_ROWS = 64;
/** Of what is left, for the cache: passes take some memory of their own. */
export const CACHE_SHARE = 0.9;
/** Elements of a typed array. */
const MAX_BLOCK_BYTES = 2 ** 32 - 1;

/**
 * As many rows as the limit has room for. Where memory can be given back, rows need not be as long as the longest text all at
 * once: texts wait where what they may come to is more than there is.
 *
 * @throws ShoalError `device_failed` where not even one text of `context` tokens has room
 */
export function sizeOf(memory: Memory, { context, rows = MAX_ROWS }: { context: number; rows?: number }): Size {
  const { limit, resident, bytesPerToken, share = 1 } = memory;
  const perToken = bytesPerToken / CACHE_SHARE;
  const most = Math.floor((limit - resident) / perToken);
  if (most < context) {
    const needed = Math.ceil((resident + context * perToken) / 2 ** 20);
    throw new ShoalError(
      'device_failed',
      `A text of ${context} tokens takes ${needed} MiB of memory, which there are not`,
    );
  }
  const tokens = Math.max(context, Math.floor(most * share));
  const whole = Math.floor(tokens / context);
  // More addresses than there is memory are refused to one block at a time.
  const addresses = Math.floor(Math.min(limit, MAX_BLOCK_BYTES) / memory.bytesPerBlock);
  const own = Math.max(1, Math.min(rows, addresses, memory.givesBack ? rows : whole));
  const budget = Math.min(tokens, own * context);
  return { rows: own, context, budget, bytes: Math.ceil(budget * perToken) };
}
