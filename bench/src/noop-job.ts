/** The jobs of the queue benchmarks: items of 16 tokens, for a model that does nothing. */
import type { NewJob } from '@shoal/queue';
import { SHOAL_QUEUE } from './noop-shoal.js';

export const TENANT = { name: 'bench', weight: 1 };
/** Tokens of one item. */
export const TOKENS = 16;
const DAY_MS = 24 * 3600_000;

/** More than one item: an array. */
export function newJob(items: number): NewJob {
  return {
    queue: SHOAL_QUEUE,
    tenant: TENANT,
    meta: {
      model: 'noop',
      version: '1',
      variant: 'fp32',
      task: 'tensors',
      priority: 'normal',
      parameters: {},
      metadata: {},
      array: items > 1,
    },
    items: Array.from({ length: items }, () => ({ kind: 'text', ids: new Uint32Array(TOKENS) })),
    tokens: new Array<number>(items).fill(TOKENS),
    resultBytes: 16 * items,
    retentionMs: DAY_MS,
  };
}
