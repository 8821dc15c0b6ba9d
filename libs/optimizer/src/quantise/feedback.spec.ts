/** Rounding whose errors are made up for: products are nearer to what they were, and never because weights were moved for nothing. */
import { dequantise, quantiseBlocks, quantiseColumns, type RoundedRows } from '@shoal/importer';
import { seededRandom } from '@shoal/training';
import { expect, test } from 'vitest';
import { feedbackOf, roundWithFeedback } from './feedback.js';

const [ROWS, COLUMNS] = [24, 48];

function gaussian(length: number, seed: number): Float32Array {
  const random = seededRandom(seed);
  const one = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Float32Array.from({ length }, one);
}

const weights = gaussian(ROWS * COLUMNS, 1);

/** Columns that go together: eight sources, and a little of their own. */
function inputsOf(count: number, seed: number): Float32Array {
  const sources = gaussian(count * 8, seed);
  const mix = gaussian(8 * COLUMNS, 7);
  const own = gaussian(count * COLUMNS, seed + 1);
  return own.map((value, at) => {
    const [row, column] = [Math.floor(at / COLUMNS), at % COLUMNS];
    let sum = 0.1 * value;
    for (let n = 0; n < 8; n++) sum += sources[row * 8 + n]! * mix[n * COLUMNS + column]!;
    return sum;
  });
}

/** Squared error of the product. */
function errorOf({ data, scales }: RoundedRows, inputs: Float32Array): number {
  const rounded = weights.map(
    (_, at) => data[(at % COLUMNS) * ROWS + Math.floor(at / COLUMNS)]! * scales[Math.floor(at / COLUMNS)]!,
  );
  return errorBeside(rounded, inputs);
}

function errorBeside(rounded: Float32Array, inputs: Float32Array): number {
  let all = 0;
  for (let start = 0; start < inputs.length; start += COLUMNS) {
    for (let row = 0; row < ROWS; row++) {
      let sum = 0;
      for (let n = 0; n < COLUMNS; n++) {
        sum += inputs[start + n]! * (weights[row * COLUMNS + n]! - rounded[row * COLUMNS + n]!);
      }
      all += sum * sum;
    }
  }
  return all;
}

test('products of inputs that go together lose a fraction, those of other texts too', () => {
  // A number that four does not divide.
  const rounded = roundWithFeedback(weights, ROWS, COLUMNS, inputsOf(501, 2));
  const others = inputsOf(200, 5);
  expect(errorOf(rounded, others)).toBeLessThan(0.4 * errorOf(quantiseColumns(weights, ROWS, COLUMNS), others));
});

test('of inputs that have nothing to do with each other each weight gets its nearest level', () => {
  const apart = Float32Array.from({ length: COLUMNS * COLUMNS }, (_, at) =>
    Number(Math.floor(at / COLUMNS) === at % COLUMNS),
  );
  expect(roundWithFeedback(weights, ROWS, COLUMNS, apart)).toEqual(quantiseColumns(weights, ROWS, COLUMNS));
});

test('the same in blocks of 4 bits, with zero points or without', () => {
  for (const symmetric of [true, false]) {
    const format = { bits: 4, block: 16, symmetric } as const;
    const others = inputsOf(200, 5);
    const errorWith = (feedback?: Float64Array) => {
      const { data, scales, zeroPoints } = quantiseBlocks(weights, ROWS, COLUMNS, format, { feedback });
      const parts = { data: () => data, scales: () => scales, zeroPoints: () => zeroPoints! };
      return errorBeside(dequantise({ rows: ROWS, columns: COLUMNS, format, ...parts }), others);
    };
    expect(errorWith(feedbackOf(inputsOf(501, 2), COLUMNS))).toBeLessThan(0.5 * errorWith());
    const none = new Float64Array(COLUMNS * COLUMNS).map((_, at) => Number(Math.floor(at / COLUMNS) === at % COLUMNS));
    expect(errorWith(none)).toBe(errorWith());
  }
});

test('few rows, or none, and inputs that are never there leave numbers', () => {
  const missing = inputsOf(3, 9).map((value, at) => (at % COLUMNS < 4 ? 0 : value));
  for (const inputs of [missing, new Float32Array(), new Float32Array(5 * COLUMNS)]) {
    const { data, scales } = roundWithFeedback(weights, ROWS, COLUMNS, inputs);
    const error = errorOf({ data, scales }, gaussian(100 * COLUMNS, 3));
    expect(error).toBeLessThan(10 * errorOf(quantiseColumns(weights, ROWS, COLUMNS), gaussian(100 * COLUMNS, 3)));
  }
});

test('rows of zeros stay zeros', () => {
  const { data, scales } = roundWithFeedback(new Float32Array(2 * COLUMNS), 2, COLUMNS, inputsOf(9, 4));
  expect([...scales, ...new Set(data)]).toEqual([0, 0, 0]);
});
