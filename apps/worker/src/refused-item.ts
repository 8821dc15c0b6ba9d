/** An item that is answered with an error, and not run. */
import type { ShoalError } from '@shoal/contracts';
import { type ClaimedItem, type Finished, toJobError } from '@shoal/queue';

export function refusedItem(item: ClaimedItem, error: ShoalError): Finished {
  const receipt = {
    ...{ batchId: '0', batchSize: 1, paddedShare: 0, closedBy: 'alone' as const },
    ...{ queuedMs: item.queuedMs, batchingMs: 0, runningMs: 0, attempts: item.attempts + 1 },
  };
  return { item, result: { receipt, error: toJobError(error) } };
}
