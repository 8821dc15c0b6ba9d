/** What was measured of a variant, for tests that do not measure. */
import type { GraphIdentity, VariantQuality } from '@shoal/contracts';

const UNKNOWN: GraphIdentity = { sha256: '0'.repeat(64), stamp: '' };

export function measured(mean: number, graph = UNKNOWN, beside = UNKNOWN): VariantQuality {
  return {
    ...{ graph, beside, verdict: 'passed', method: 'int8', machine: 'a machine', measured: '2026-01-02T03:04:05.678Z' },
    loss: { metric: 'accuracy', mean, bound: mean + 0.01, allowed: 0.02, texts: 500 },
    speeds: [{ batch: 1, tokens: 20, ratio: 1.5, low: 1.4, high: 1.6 }],
    data: { file: 'a.jsonl', sha256: 'ab'.repeat(32) },
  };
}
