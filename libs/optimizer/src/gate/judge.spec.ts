/** What passes the gate, and what is said of the rest. */
import type { SpeedRatio } from '@shoal/contracts';
import { seededRandom } from '@shoal/training';
import { describe, expect, test } from 'vitest';
import type { Comparison } from '../types.js';
import { boundOf } from './bound.js';
import { judge } from './judge.js';

const fast: SpeedRatio = { batch: 1, tokens: 20, ratio: 2, low: 1.9, high: 2.1 };
const slow: SpeedRatio = { batch: 8, tokens: 20, ratio: 0.9, low: 0.8, high: 1 };

function comparison(
  mean: number,
  bound: number,
  texts = 1000,
  speeds: readonly SpeedRatio[] = [slow, fast],
): Comparison {
  return { loss: { metric: 'accuracy', mean, bound, texts }, speeds, figures: {} };
}

test('passes where the bound is allowed and one shape is surely faster', () => {
  expect(judge(comparison(0.002, 0.009), { loss: 0.01 })).toEqual({ kind: 'passed' });
  expect(judge(comparison(-0.01, -0.001), { loss: 0 })).toEqual({ kind: 'passed' });
});

test('is worse where the mean is more than what is allowed, however few the texts', () => {
  const verdict = judge(comparison(0.02, 0.05, 50), { loss: 0.01 });
  expect(verdict).toMatchObject({ kind: 'worse', reason: expect.stringContaining('2.00 %') });
});

test('is not faster where no interval lies above the least gain, and whether noise may be why', () => {
  const verdict = judge(comparison(0, 0.003, 1000, [slow]), { loss: 0.01 });
  expect(verdict).toEqual({
    kind: 'not_faster',
    reason: "not faster: at best 0.90× the original's speed (0.80× to 1.00×) for 8 texts, and 1.02× has to be sure",
  });
  const noisy = { ...fast, ratio: 1.2, low: 0.95, high: 1.5 };
  expect(judge(comparison(0, 0.003, 1000, [noisy]), { loss: 0.01 })).toMatchObject({
    kind: 'not_faster',
    reason: expect.stringContaining('a quieter machine may tell more'),
  });
  // Where speeds were not asked for they do not decide.
  expect(judge(comparison(0, 0.003, 1000, []), { loss: 0.01 }).kind).toBe('passed');
});

describe('too few texts', () => {
  test('without a loss as many are needed as the rule of three says', () => {
    const { bound } = boundOf(new Float64Array(100), seededRandom(1));
    const verdict = judge(comparison(0, bound, 100), { loss: 0.01 });
    expect(verdict).toMatchObject({
      kind: 'too_few',
      needed: 300,
      reason: expect.stringContaining('about 300 are needed, in a file of about 600'),
    });
    // As the first verdict of a run of `shoal optimize` is sure of it: -ln 0.025 = 3.69 / n.
    const { bound: surer } = boundOf(new Float64Array(300), seededRandom(1), { alpha: 0.025 });
    expect(judge(comparison(0, surer, 300), { loss: 0.01 }, 0.025)).toMatchObject({
      kind: 'too_few',
      needed: 369,
      reason: expect.stringContaining('about 370 are needed, in a file of about 740'),
    });
  });

  test.each([0.05, 0.025])('with some, so many that four of five samples of that size pass, at %s', (alpha) => {
    const random = seededRandom(11);
    const losses = Float64Array.from({ length: 800 }, (_, n) => (n < 16 ? 1 : n < 28 ? -1 : 0));
    const { mean, bound } = boundOf(losses, random, { alpha });
    const verdict = judge(comparison(mean, bound, 800), { loss: 0.01 }, alpha);
    if (verdict.kind !== 'too_few' || verdict.needed === undefined) throw new Error(verdict.kind);
    // As if what was seen were the truth.
    const passed = Array.from({ length: 200 }, () => sampleOf(0.02, 0.015, verdict.needed!, random, alpha)).filter(
      (one) => judge(one, { loss: 0.01 }, alpha).kind === 'passed',
    ).length;
    expect(passed / 200).toBeGreaterThan(0.65);
    expect(passed / 200).toBeLessThan(0.95);
  });

  test('no number of texts shows that nothing at all is lost, nor a file a loss that is all but too much', () => {
    const hopeless = { kind: 'too_few', reason: expect.stringContaining('too near for any number of texts to tell') };
    expect(judge(comparison(0, 0.003), { loss: 0 })).toEqual(hopeless);
    expect(judge(comparison(0.00999, 0.02), { loss: 0.01 })).toEqual(hopeless);
  });
});

describe('a classifier that was damaged on purpose', () => {
  test.each([0.005, 0.01, 0.02])('by %s is refused by whoever allows no more, 19 times of 20', (damage) => {
    for (const texts of [300, 3000]) {
      const random = seededRandom(texts);
      const kinds = Array.from(
        { length: 400 },
        () => judge(sampleOf(damage + 0.02, 0.02, texts, random), { loss: damage }).kind,
      );
      const refused = kinds.filter((kind) => kind !== 'passed').length;
      // 400 samples of a share of 5 % stay under 7.2 % nearly always.
      expect(refused / 400).toBeGreaterThan(0.928);
    }
  });

  test.each([0.005, 0.01, 0.02])(
    'by %s is called worse by whoever allows half of it, where the texts suffice',
    (damage) => {
      const random = seededRandom(1);
      // The standard error of the difference is a sixth of it.
      const texts = Math.ceil((0.04 + damage) / (damage / 6) ** 2);
      const kinds = Array.from(
        { length: 200 },
        () => judge(sampleOf(damage + 0.02, 0.02, texts, random), { loss: damage / 2 }).kind,
      );
      expect(kinds.filter((kind) => kind === 'worse').length / 200).toBeGreaterThan(0.95);
      expect(kinds).not.toContain('passed');
      // With few texts it is too few, or by chance worse.
      const few = judge(sampleOf(damage + 0.02, 0.02, 100, seededRandom(3)), { loss: damage / 2 }).kind;
      expect(['too_few', 'worse']).toContain(few);
    },
  );
});

test('a loss by another metric than was asked for is no answer', () => {
  expect(() => judge(comparison(0, 0), { loss: 0.01, metric: 'f1' })).toThrow('measured as accuracy');
});

/** Of answers that are lost and gained with these probabilities. */
function sampleOf(lost: number, gained: number, texts: number, random: () => number, alpha?: number): Comparison {
  const losses = Float64Array.from({ length: texts }, () => {
    const draw = random();
    return draw < lost ? 1 : draw < lost + gained ? -1 : 0;
  });
  const { mean, bound } = boundOf(losses, random, { alpha });
  return comparison(mean, bound, texts);
}
