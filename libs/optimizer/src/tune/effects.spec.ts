/** Effects are those that the times were made of, and as sure as they are said to be. */
import { seededRandom } from '@shoal/training';
import { expect, test } from 'vitest';
import { heavyTailed } from '../testing/landscape.js';
import { type Clock, Effects } from './effects.js';

/** Three options, and two. */
const CHOICES = [0, 1, 2].flatMap((a) => [0, 1].map((b) => [a, b]));
/** Of each setting: 0.1 and 0.3 for the first factor, 0.2 for the second, and −0.15 where both are the last. */
const TRUTH = CHOICES.map(([a, b]) => [0, 0.1, 0.3][a!]! + 0.2 * b! - (a === 2 && b === 1 ? 0.15 : 0));

interface Made {
  readonly blocks: number;
  /** Of a measurement. */
  readonly noise: (setting: number, block: number) => number;
  readonly clock?: Clock;
}

/** Learned from blocks of eight settings at random, one after another as a search does it; each block is slower or faster as a whole. */
function learned(
  random: () => number,
  { blocks, noise, clock = 'wall' }: Made,
  effects = new Effects(CHOICES),
): Effects {
  for (let block = 0; block < blocks; block++) {
    const base = 3 * random();
    const timed = Array.from({ length: 8 }, () => {
      const setting = Math.floor(random() * CHOICES.length);
      return { setting, log: base + TRUTH[setting]! + noise(setting, block) };
    });
    effects.add(clock, timed);
    effects.learn();
  }
  return effects;
}

const differences = ({ logs }: Effects) => [...logs].map((log) => log - logs[0]!);
const off = (effects: Effects) =>
  Math.max(...differences(effects).map((log, n) => Math.abs(log - (TRUTH[n]! - TRUTH[0]!))));

test('nothing is known before anything was learned', () => {
  const effects = new Effects(CHOICES);
  expect([...effects.logs]).toEqual(CHOICES.map(() => 0));
  expect(effects.deviation(0, 1)).toBe(Number.POSITIVE_INFINITY);
  effects.add('wall', [{ setting: 1, log: 4 }]);
  effects.learn();
  expect(effects.known).toBe(false);
});

test('effects of options and of pairs are found, whatever a block takes', () => {
  const random = seededRandom(1);
  const effects = new Effects(CHOICES);
  learned(random, { blocks: 20, noise: () => 0.01 * heavyTailed(random) }, effects);
  expect(off(effects)).toBeLessThan(0.02);
});

test('settings are outside of twice the deviation in about one of twenty cases', () => {
  const random = seededRandom(2);
  let [outside, all] = [0, 0];
  for (let run = 0; run < 100; run++) {
    const effects = learned(random, { blocks: 10, noise: () => 0.05 * heavyTailed(random) });
    for (const [n, log] of differences(effects).entries()) {
      if (n === 0) continue;
      all++;
      outside += Number(Math.abs(log - TRUTH[n]!) > 2 * effects.deviation(n, 0));
    }
  }
  expect(outside / all).toBeLessThan(0.1);
});

test('blocks in which much else went on count for less', () => {
  const random = seededRandom(3);
  const worst = (noise: (setting: number, block: number) => number) => {
    let sum = 0;
    for (let run = 0; run < 20; run++) sum += off(learned(random, { blocks: 12, noise })) / 20;
    return sum;
  };
  const noisy = worst(() => 0.2 * heavyTailed(random));
  // Counted alike, all would be off by 0.7 of what they are where every block is noisy.
  expect(worst((_, block) => (block % 2 === 0 ? 0.02 : 0.2) * heavyTailed(random))).toBeLessThan(noisy / 2);
});

test('clocks are not compared with each other, and what one tells counts for all', () => {
  const random = seededRandom(4);
  const effects = new Effects(CHOICES);
  learned(random, { blocks: 5, noise: () => 0.3 * heavyTailed(random) }, effects);
  const before = off(effects);
  learned(random, { blocks: 5, noise: () => 7 + 0.01 * heavyTailed(random), clock: 'cpu' }, effects);
  expect(off(effects)).toBeLessThan(before / 2);
});

test('draws are about what is known, as far from it as is said', () => {
  const random = seededRandom(5);
  const effects = learned(random, { blocks: 10, noise: () => 0.05 * heavyTailed(random) });
  const drawn = Array.from({ length: 2000 }, () => effects.draw(random)).map((logs) => logs[5]! - logs[0]!);
  const mean = drawn.reduce((sum, value) => sum + value, 0) / drawn.length;
  const deviation = Math.sqrt(drawn.reduce((sum, value) => sum + (value - mean) ** 2, 0) / drawn.length);
  expect(mean).toBeCloseTo(differences(effects)[5]!, 2);
  expect(deviation / effects.deviation(5, 0)).toBeGreaterThan(0.9);
  expect(deviation / effects.deviation(5, 0)).toBeLessThan(1.1);
});
