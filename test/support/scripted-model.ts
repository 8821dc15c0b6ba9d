/** A model whose items are numbers: what it computes of them, and what is stored and read of that. */
import type { ItemResult, JobRecord, WireOutput } from '@shoal/contracts';
import type { Row } from '@shoal/models';
import type { ClaimedItem } from '@shoal/queue';

/** The scripted model: from the values of a micro-batch to one number, output or Error each. */
export type Run = (values: readonly number[]) => Promise<readonly (number | WireOutput | Error)[]>;
export const double: Run = async (values) => values.map((value) => 2 * value);

/** Outputs and error codes by item. */
export function outcomes(record: JobRecord): unknown[] {
  return record.results.map((result) => {
    if (result === null) return null;
    if (result.error) return result.error.code;
    return result.output.kind === 'score' ? result.output.score : result.output.kind;
  });
}

/** What a bare consumer publishes for an item. */
export function resultOf(score: number): ItemResult {
  const receipt = {
    batchId: 'x',
    batchSize: 1,
    paddedShare: 0,
    closedBy: 'idle' as const,
    queuedMs: 0,
    batchingMs: 0,
    runningMs: 0,
    attempts: 1,
  };
  return { receipt, output: { kind: 'score', score } };
}

export function numberOf({ item }: Row | ClaimedItem): number {
  if (item.kind !== 'text') throw new TypeError('a scripted model takes text items');
  return item.ids[0]!;
}
