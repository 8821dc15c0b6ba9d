import { describe, expect, test } from 'vitest';
import { type ReplicaInputs, replicasNeeded, targetSeconds } from './replicas.js';

/** 1,000 tokens a second per replica, T = 20 s. */
const IDLE: ReplicaInputs = {
  unfinishedJobs: 0,
  unfinishedTokens: 0,
  arrivalRate: 0,
  secondsSinceArrival: Number.POSITIVE_INFINITY,
  replicaRate: 1000,
  usefulReplicas: null,
  delayObjectiveSeconds: 30,
  coldStartSeconds: 20,
};
const needed = (changes: Partial<ReplicaInputs>) => replicasNeeded({ ...IDLE, ...changes });

describe('replicasNeeded', () => {
  test.each([
    ['what arrives, at three quarters of a replica’s speed', { arrivalRate: 750, secondsSinceArrival: 0 }, 1],
    ['no more than are of use', { arrivalRate: 7500, usefulReplicas: 4, secondsSinceArrival: 0 }, 4],
    ['twice as much', { arrivalRate: 1500, secondsSinceArrival: 0 }, 2],
    ['what is unfinished, to be done in 20 s', { unfinishedJobs: 9, unfinishedTokens: 20_000 }, 1],
    ['both, added', { arrivalRate: 1500, unfinishedJobs: 9, unfinishedTokens: 50_000 }, 4.5],
    ['half the speed, twice the replicas', { arrivalRate: 750, replicaRate: 500, secondsSinceArrival: 0 }, 2],
    ['a longer objective, less for the queue', { unfinishedTokens: 39_000, delayObjectiveSeconds: 60 }, 1],
    ['a longer cold start, less for the queue', { unfinishedTokens: 40_000, coldStartSeconds: 40 }, 1],
  ])('counts %s', (_, changes, replicas) => {
    expect(needed(changes)).toBeCloseTo(replicas, 12);
  });

  test('is 0 once nothing is unfinished and nothing has come for 60 s, and not before', () => {
    const fading = { arrivalRate: 300 };
    expect(needed({ ...fading, secondsSinceArrival: 59.9 })).toBeCloseTo(0.4);
    expect(needed({ ...fading, secondsSinceArrival: 60 })).toBe(0);
    expect(needed({})).toBe(0);
  });

  test('is above 0 as long as anything is unfinished, however little and however old', () => {
    expect(needed({ unfinishedJobs: 1, unfinishedTokens: 1 })).toBe(0.01);
    expect(needed({ unfinishedJobs: 1, unfinishedTokens: 0 })).toBe(0.01);
    expect(needed({ unfinishedJobs: 0, unfinishedTokens: 1 })).toBe(0.01);
    expect(needed({ secondsSinceArrival: 0 })).toBe(0.01);
  });

  test('is 1 while there is work for a model whose speed is not known, else 0', () => {
    const unknown = { replicaRate: null };
    expect(needed({ ...unknown, unfinishedJobs: 1, unfinishedTokens: 1_000_000 })).toBe(1);
    expect(needed({ ...unknown, arrivalRate: 1e9, secondsSinceArrival: 1 })).toBe(1);
    expect(needed(unknown)).toBe(0);
  });

  test('is a finite number of at most 10,000 whatever it is given', () => {
    const odd = [0, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.MIN_VALUE, 1e308];
    for (const key of Object.keys(IDLE)) {
      for (const value of odd) {
        const replicas = needed({ arrivalRate: 10, unfinishedJobs: 1, unfinishedTokens: 10, [key]: value });
        expect(replicas, `${key} ${value}`).toBeGreaterThanOrEqual(0.01);
        expect(replicas, `${key} ${value}`).toBeLessThanOrEqual(10_000);
      }
    }
  });

  test('never asks for fewer because more arrives, waits, or takes longer', () => {
    for (const key of ['arrivalRate', 'unfinishedTokens'] as const) {
      let last = 0;
      for (const value of [0, 1, 10, 1000, 1e5, 1e7, 1e12]) {
        const replicas = needed({ unfinishedJobs: 1, arrivalRate: 100, unfinishedTokens: 100, [key]: value });
        expect(replicas).toBeGreaterThanOrEqual(last);
        last = replicas;
      }
    }
  });
});

test.each([
  [30, 10, 19.5],
  [30, 20, 20],
  [120, 20, 78],
  [0.1, 0.1, 1],
  [Number.NaN, Number.NaN, 1],
])('with an objective of %d s and cold starts of %d s, T is %d s', (delayObjectiveSeconds, coldStart, seconds) => {
  expect(targetSeconds({ delayObjectiveSeconds, coldStartSeconds: coldStart })).toBeCloseTo(seconds, 12);
});
