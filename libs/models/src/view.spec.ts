import type { ItemReceipt, ItemResult, JobError, JobRecord } from '@shoal/contracts';
import { describe, expect, test } from 'vitest';
import { createPresenter } from './model-face.js';
import { fakeModel } from './testing/fake-model.js';
import { viewOf } from './view.js';

const FAILED: JobError = { code: 'inference_failed', title: 'Failed', detail: 'not a number', retryable: false };

const receipt = (batchId: string, queuedMs: number, attempts = 1): ItemReceipt => ({
  batchId,
  batchSize: 8,
  paddedShare: 0.123_456,
  closedBy: 'tokens',
  queuedMs,
  batchingMs: 1,
  runningMs: 2.000_04,
  attempts,
});

const vector = (batchId: string, value: number, queuedMs = 1, attempts = 1): ItemResult => ({
  receipt: receipt(batchId, queuedMs, attempts),
  output: { kind: 'vector', values: Float32Array.of(value), dims: [1] },
});

function record(results: JobRecord['results'], changes: Partial<JobRecord> = {}): JobRecord {
  return {
    id: 'embed.1.default.0.a',
    tenant: 'default',
    state: 'completed',
    meta: {
      model: 'embed',
      version: '1',
      variant: 'default',
      task: 'feature-extraction',
      priority: 'normal',
      parameters: {},
      metadata: { a: 'b' },
      array: true,
    },
    createdAt: 0,
    startedAt: 1000,
    endedAt: 2000,
    expiresAt: 3000,
    deadline: null,
    tokens: 12,
    total: results.length,
    done: results.length,
    failed: 0,
    resultBytes: 0,
    error: null,
    results,
    ...changes,
  };
}

const presenter = await createPresenter(fakeModel({ task: 'feature-extraction' }));
const single = { ...record([]).meta, array: false };

describe('the view of a job', () => {
  test('counts the micro-batches that its items ran in', () => {
    const view = viewOf(record([vector('x', 1), vector('y', 2), vector('x', 3)]), presenter);
    expect(view.batches).toEqual([
      { size: 8, padded_share: 0.123, closed_by: 'tokens', items: 2 },
      { size: 8, padded_share: 0.123, closed_by: 'tokens', items: 1 },
    ]);
    expect(view.output).toEqual([[1], [2], [3]]);
  });

  test('has the timings of the item that ended last and the most attempts of any', () => {
    const view = viewOf(record([vector('x', 1, 5), vector('y', 2, 50, 2), vector('z', 3, 7, 3)]), presenter);
    expect(view.timings).toEqual({ queued_ms: 50, batching_ms: 1, running_ms: 2 });
    expect(view.attempts).toBe(3);
  });

  test('has null and an error with its index where an item of an array failed', () => {
    const view = viewOf(record([vector('x', 1), { receipt: receipt('x', 1), error: FAILED }]), presenter);
    expect(view).toMatchObject({ output: [[1], null], error: null, errors: [{ ...FAILED, index: 1 }] });
  });

  test('has the error of its only item as its own', () => {
    const failed = record([{ receipt: receipt('x', 1), error: FAILED }], { state: 'failed', meta: single });
    expect(viewOf(failed, presenter)).toMatchObject({ output: null, error: FAILED, errors: [] });
  });

  test('shows no output before the end, whatever has been published', () => {
    const running = record([vector('x', 1), null], { state: 'running', endedAt: null, expiresAt: null });
    expect(viewOf(running, presenter)).toMatchObject({ output: null, errors: [], ended_at: null });
  });

  test('says so where its model is not served any more', () => {
    expect(viewOf(record([vector('x', 1)]), undefined)).toMatchObject({
      status: 'completed',
      output: null,
      error: { code: 'model_not_found' },
    });
  });
});
