/**
 * The autoscaling number for texts, whose lengths nobody knows in advance, in the same closed loop: prompts and answers are charged
 * by what answers have on average, and a replica's speed is learned from its passes. docs/scaling.md has the whole table.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { queueLength, shoalLearning } from '../simulation/signals.js';
import { type Outcome, simulateTexts } from '../simulation/simulate.js';
import { TEXT_SHAPE } from '../simulation/text-fleet.js';
import { TEXT_TRAFFIC } from '../simulation/text-traffic.js';

const SEEDS = [1, 2];
const learning = shoalLearning(null, TEXT_SHAPE);

/** Seconds in which 95 of 100 texts have their first token, and replica-hours: the most of five seeds, docs/scaling.md has both. */
const HELD = {
  step: { p95: 1, replicaHours: 9.5 },
  diurnal: { p95: 0, replicaHours: 8 },
  shift: { p95: 0, replicaHours: 7.6 },
  // Everything that comes in the first 25 s waits for a cold start, whatever is scaled on.
  onOff: { p95: 30, replicaHours: 13.2 },
} as const;
/** What it costs that lengths are not known, at most. */
const OF_NOT_KNOWING = 1.1;

describe.each(Object.keys(TEXT_TRAFFIC) as (keyof typeof TEXT_TRAFFIC)[])('%s', (name) => {
  const traffic = TEXT_TRAFFIC[name];
  let ours: Outcome[];
  beforeAll(() => {
    ours = SEEDS.map((seed) => simulateTexts(traffic, learning, seed));
  });

  test('first tokens come in time, at no more replica-hours than they did', () => {
    for (const { p95, replicaHours, unserved } of ours) {
      expect(p95).toBeLessThanOrEqual(HELD[name].p95);
      expect(replicaHours).toBeLessThanOrEqual(HELD[name].replicaHours);
      expect(unserved).toBe(0);
    }
  });

  test('lengths that are not known cost a tenth of the replica-hours at most, and two seconds', () => {
    const known = simulateTexts(traffic, learning, SEEDS[0]!, { lengthsKnown: true });
    expect(ours[0]!.replicaHours).toBeLessThanOrEqual(known.replicaHours * OF_NOT_KNOWING);
    expect(ours[0]!.p95).toBeLessThanOrEqual(known.p95 + 2);
  });

  test('on the number of texts that wait nobody is served sooner for as much', () => {
    const theirs = simulateTexts(traffic, queueLength(5), SEEDS[0]!);
    expect(ours[0]!.p95).toBeLessThanOrEqual(theirs.p95 + 3);
    expect(ours[0]!.replicaHours).toBeLessThan(theirs.replicaHours * OF_NOT_KNOWING);
  });
});
