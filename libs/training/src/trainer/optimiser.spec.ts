/** What a step is made of: AdamW, the learning rate, the order of examples, what is refused. */
import { describe, expect, test } from 'vitest';
import { adamw } from './adamw.js';
import { rateAt, type Settings, settingsOf, type TrainerOptions } from './options.js';
import { ShuffledOrder } from './order.js';

const OPTIONS: TrainerOptions = { steps: 10, learningRate: 0.1, examples: 20, batchSize: 4, seed: 1 };

test('AdamW does what its formulas say', () => {
  const one = { weight: Float32Array.of(1, -2), first: new Float32Array(2), second: new Float32Array(2) };
  const gradients = [
    [0.5, -4],
    [-0.25, 1],
    [2, 0],
  ];
  const wanted = [1, -2].map((start, n) => {
    let [w, m, v] = [start, 0, 0];
    for (const [at, gradient] of gradients.entries()) {
      const step = at + 1;
      const g = 0.5 * gradient[n]!;
      w -= 0.1 * 0.01 * w;
      m = 0.9 * m + 0.1 * g;
      v = 0.999 * v + 0.001 * g * g;
      w -= (0.1 * (m / (1 - 0.9 ** step))) / (Math.sqrt(v / (1 - 0.999 ** step)) + 1e-8);
    }
    return w;
  });
  for (const [at, gradient] of gradients.entries()) {
    adamw(one, Float32Array.from(gradient), {
      ...{ step: at + 1, rate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, scale: 0.5 },
    });
  }
  expect(one.weight[0]).toBeCloseTo(wanted[0]!, 6);
  expect(one.weight[1]).toBeCloseTo(wanted[1]!, 6);
});

const rates = (options: Partial<TrainerOptions>) => {
  const settings = settingsOf({ ...OPTIONS, ...options });
  return Array.from({ length: settings.steps }, (_, step) => rateAt(step, settings));
};

describe('the rate', () => {
  test('grows over the warm-up and falls in a line to the floor', () => {
    const found = rates({ steps: 6, warmup: 2, floor: 0.1 });
    const wanted = [1 / 3, 2 / 3, 1, 0.1 + 0.9 * 0.75, 0.1 + 0.9 * 0.5, 0.1 + 0.9 * 0.25].map((share) => 0.1 * share);
    expect(found).toEqual(wanted.map((rate) => expect.closeTo(rate, 12)));
  });

  test('falls in half a wave', () => {
    const found = rates({ steps: 4, decay: 'cosine' });
    const wanted = [1, (1 + Math.SQRT1_2) / 2, 0.5, (1 - Math.SQRT1_2) / 2];
    expect(found).toEqual(wanted.map((share) => expect.closeTo(0.1 * share, 12)));
  });

  test('stays where it is wanted to', () => {
    expect(rates({ steps: 3, decay: 'none' })).toEqual([0.1, 0.1, 0.1]);
  });
});

describe('the order of examples', () => {
  const all = Array.from({ length: 20 }, (_, n) => n);

  test('has each once in every epoch, shuffled anew', () => {
    const order = new ShuffledOrder(20, 1);
    const [first, second] = [order.take(0, 20), order.take(20, 20)];
    for (const epoch of [first, second]) expect(epoch.toSorted((a, b) => a - b)).toEqual(all);
    expect(first).not.toEqual(second);
    expect(first).not.toEqual(all);
  });

  test('follows from seed and place alone', () => {
    const order = new ShuffledOrder(20, 1);
    const whole = order.take(0, 60);
    expect(new ShuffledOrder(20, 1).take(37, 8)).toEqual(whole.slice(37, 45));
    expect(order.take(5, 3)).toEqual(whole.slice(5, 8));
    expect(new ShuffledOrder(20, 2).take(0, 20)).not.toEqual(whole.slice(0, 20));
  });
});

test.each<[Partial<TrainerOptions>, string]>([
  [{ steps: 0 }, 'steps: 0 is not a whole number from 1'],
  [{ learningRate: Number.NaN }, 'learningRate: NaN is not a number above 0'],
  [{ examples: 0 }, 'examples: 0 is not a whole number from 1'],
  [{ batchSize: 1.5 }, 'batchSize: 1.5 is not a whole number from 1'],
  [{ seed: -1 }, 'seed: -1 is not a whole number from 0'],
  [{ beta1: 1 }, 'beta1: 1 is not a number from 0 to below 1'],
  [{ clip: 0 }, 'clip: 0 is not a number above 0, or Infinity'],
  [{ weightDecay: -1 }, 'weightDecay: -1 is not a number from 0'],
  [{ warmup: 10 }, 'warmup: 10 of 10 steps leave none'],
  [{ decay: 'steps' as Settings['decay'] }, 'decay: steps is none of'],
])('%o is refused', (options, message) => {
  expect(() => settingsOf({ ...OPTIONS, ...options })).toThrow(message);
});
