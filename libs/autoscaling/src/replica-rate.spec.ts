import { describe, expect, test } from 'vitest';
import { learnReplicaRate, RateEvidence } from './replica-rate.js';

const SHAPE = { maxBatchSize: 64, maxBatchTokens: 4096 };
const rows = (count: number, length: number) => Array.from({ length: count }, () => length);

/** What is known after `batches` batches of these items, each of `seconds`. */
function learn(known: number | null, lengths: readonly number[], seconds: number, batches = 1) {
  const evidence = new RateEvidence(SHAPE);
  for (let n = 0; n < batches; n++) evidence.add(lengths, seconds);
  return learnReplicaRate(known, evidence.take()!);
}

describe('the rate of a replica', () => {
  test('is that of its first full batches: tokens ÷ seconds', () => {
    expect(learn(null, rows(64, 64), 0.2048)).toBeCloseTo(20_000, 6);
    expect(learn(null, rows(64, 64), 0.0512, 5)).toBeCloseTo(80_000, 6);
  });

  test('counts tokens without padding, and fullness with it', () => {
    // 33 × 64 padded tokens are half a batch; 33 + 63 are in it.
    const padded = [...rows(32, 1), 64];
    expect(learn(null, padded, 1)).toBe(96);
  });

  test('is not known from batches that are less than half full', () => {
    expect(learn(null, rows(31, 66), 0.1)).toBeNull();
    expect(learn(null, rows(32, 1), 0.1)).toBe(320);
    expect(learn(null, [2048], 0.1)).toBe(20_480);
  });

  test('moves by 63 % of what it is off for 30 s of full batches, either way', () => {
    const share = 1 - Math.exp(-1);
    expect(learn(10_000, rows(64, 64), 0.2048, 30 / 0.2048)).toBeCloseTo(10_000 + 10_000 * share, -2);
    expect(learn(40_000, rows(64, 64), 0.2048, 30 / 0.2048)).toBeCloseTo(40_000 - 20_000 * share, -2);
  });

  test('is the same however often a replica tells', () => {
    const often = new RateEvidence(SHAPE);
    let rate: number | null = 10_000;
    for (let n = 0; n < 50; n++) {
      often.add(rows(64, 64), 0.2048);
      rate = learnReplicaRate(rate, often.take()!);
    }
    expect(rate).toBeCloseTo(learn(10_000, rows(64, 64), 0.2048, 50)!, 6);
  });

  test('is not lowered by an idle fleet', () => {
    expect(learn(20_000, [8], 0.01, 10_000)).toBe(20_000);
  });

  test('is raised by small batches that are faster by more than half, up to two thirds of theirs', () => {
    // 8 tokens in 1 ms: 8,000 tokens a second.
    expect(learn(5300, [8], 0.001, 100_000)).toBeGreaterThan(5300);
    expect(learn(5300, [8], 0.001, 1_000_000)).toBeCloseTo(8000 / 1.5, 0);
    expect(learn(5400, [8], 0.001, 1_000_000)).toBe(5400);
  });
});

describe('the evidence', () => {
  test('is handed over once', () => {
    const evidence = new RateEvidence(SHAPE);
    expect(evidence.take()).toBeNull();
    evidence.add(rows(64, 64), 0.2);
    evidence.add([8], 0.1);
    expect(evidence.take()).toEqual({ full: { tokens: 4096, seconds: 0.2 }, small: { tokens: 8, seconds: 0.1 } });
    expect(evidence.take()).toBeNull();
  });
});
