/** Constants of fair queueing; the arithmetic runs in lua/admit.lua, where the tags are. */
import type { Priority } from '@shoal/contracts';

/**
 * Tokens per step of BullMQ's priority. With 2,000,000 steps the backlog may span 128 million tokens (at weight 1) before
 * waiting chunks are rebased; two start tags closer than this are served in the order of their arrival.
 */
export const QUANTUM_TOKENS = 64;

/** Below BullMQ's limit of 2,097,151 (classes/job.js, PRIORITY_LIMIT). */
export const MAX_PRIORITY = 2_000_000;

/** A job's priority scales its tenant's weight: high priority takes a larger share, and never all of it. */
export const PRIORITY_WEIGHT: Readonly<Record<Priority, number>> = { low: 0.25, normal: 1, high: 4 };
