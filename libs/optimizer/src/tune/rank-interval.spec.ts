/** The interval is that of tables, and wrong as seldom as it says. */
import { seededRandom } from '@shoal/training';
import { expect, test } from 'vitest';
import { heavyTailed } from '../testing/landscape.js';
import { medianInterval } from './median-interval.js';
import { rankInterval } from './rank-interval.js';

test('ends are the means that Wilcoxon’s tables tell', () => {
  // Of ten values the sum of ranks is at most 10 with a probability of 0.042, and at most 11 with one of 0.053.
  const values = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
  const means = values.flatMap((one, n) => values.slice(n).map((other) => (one + other) / 2)).sort((a, b) => a - b);
  expect(rankInterval(values, 0.05)).toEqual({ median: means[27], low: means[10], high: means[44] });
});

test('of four values none tells with a probability of 4 %, of five all have to agree', () => {
  expect(rankInterval([1, 2, 3, 4], 0.04)).toEqual({
    median: 2.5,
    low: Number.NEGATIVE_INFINITY,
    high: Number.POSITIVE_INFINITY,
  });
  expect(rankInterval([1, 2, 3, 4, 5], 0.04)).toEqual({ median: 3, low: 1, high: 5 });
});

test('the centre is outside as seldom as promised, and the interval is narrower than that of signs', () => {
  const random = seededRandom(3);
  const runs = 1000;
  let [below, above, narrower] = [0, 0, 0];
  for (let run = 0; run < runs; run++) {
    const values = Array.from({ length: 30 }, () => heavyTailed(random) - heavyTailed(random));
    const { low, high } = rankInterval(values, 0.04);
    below += Number(low > 0);
    above += Number(high < 0);
    const signs = medianInterval(values, 0.04);
    narrower += Number(high - low < signs.high - signs.low);
  }
  // Four deviations of 1,000 draws above 4 %.
  expect(below / runs).toBeLessThan(0.065);
  expect(above / runs).toBeLessThan(0.065);
  expect(narrower / runs).toBeGreaterThan(0.9);
});
