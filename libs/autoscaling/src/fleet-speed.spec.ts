/** When more replicas are of no use. */
import { describe, expect, test } from 'vitest';
import { type FleetSpeed, learnFleetSpeed, sizeClass, usefulReplicas } from './fleet-speed.js';

/** Full batches for `seconds` at `rate` tokens a second. */
const shown = (rate: number, seconds = 300) => ({
  full: { tokens: rate * seconds, seconds },
  small: { tokens: 0, seconds: 0 },
});

/** Fleets that work one after another, from `start` (Unix ms), a minute each. */
function watch(steps: readonly (readonly [replicas: number, rate: number])[], start = 0) {
  let known: FleetSpeed[] = [];
  let now = start;
  for (const [replicas, rate] of steps) {
    const learned = learnFleetSpeed(known, replicas, shown(rate), now)!;
    known = [...known.filter((speed) => sizeClass(speed.replicas) !== sizeClass(learned.replicas)), learned];
    now += 60_000;
  }
  return { known, now };
}

test('replicas that share two cores: four do no more than one, so one is of use', () => {
  const { known, now } = watch([
    [1, 34_000],
    [4, 8000],
  ]);
  expect(usefulReplicas(known, now)).toBe(1);
});

test('replicas on cores of their own are of use however many there are', () => {
  const { known, now } = watch([
    [1, 20_000],
    [2, 19_500],
    [4, 19_000],
    [8, 19_500],
    [16, 18_000],
  ]);
  expect(usefulReplicas(known, now)).toBeNull();
});

test('growth that brings a part of what it should is worth it; one that brings next to nothing is the last', () => {
  const { known, now } = watch([
    [1, 20_000],
    [2, 15_000],
    [4, 11_000],
    [8, 5600],
  ]);
  expect(usefulReplicas(known, now)).toBe(4);
});

test('a slower load that sets in long after a growth does not make the growth useless', () => {
  const before = watch([
    [1, 20_000],
    [2, 20_000],
  ]);
  const later = before.now + 600_000;
  const slow = learnFleetSpeed(before.known, 2, shown(5000), later)!;
  const known = [before.known[0]!, slow];
  expect(slow.rate).toBeCloseTo(5000, -2);
  expect(usefulReplicas(known, later)).toBeNull();
});

describe('a verdict ends', () => {
  const { known, now } = watch([
    [1, 20_000],
    [2, 10_000],
  ]);

  test('when the fleet before it turns out slower by itself: it was the load', () => {
    expect(usefulReplicas(known, now)).toBe(1);
    const alone = learnFleetSpeed(known, 1, shown(10_000), now + 300_000)!;
    expect(usefulReplicas([alone, known[1]!], now + 300_000)).toBeNull();
  });

  test('after an hour: nodes may have come', () => {
    expect(usefulReplicas(known, now + 3_700_000)).toBeNull();
  });
});

test('batches that are not half full say nothing of a size that is not known yet', () => {
  const small = { full: { tokens: 0, seconds: 0 }, small: { tokens: 100, seconds: 1 } };
  expect(learnFleetSpeed([], 2, small, 0)).toBeNull();
});

test('sizes are kept in few classes, each at most half above the one before but for 1 and 2', () => {
  const classes = [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 23, 24, 1000].map(sizeClass);
  expect(classes).toEqual([1, 2, 3, 4, 4, 6, 6, 8, 8, 12, 12, 16, 16, 24, 768]);
});
