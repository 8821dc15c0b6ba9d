/** What is known of a micro-batch that has run: for metrics, spans and log lines. */
import type { CloseReason, ItemReceipt, ShoalError } from '@shoal/contracts';
import type { ClaimedItem } from '@shoal/queue';

export interface BatchRun {
  readonly items: readonly ClaimedItem[];
  readonly closedBy: CloseReason;
  readonly lengths: readonly number[];
  readonly paddedShare: number;
  /** From when it was formed to the start of its forward pass: Redis marks what is in it. */
  readonly beginMs: number;
  readonly runningMs: number;
  readonly receipts: readonly ItemReceipt[];
  /** By item; undefined where it has an output. */
  readonly errors: readonly (ShoalError | undefined)[];
}
