import { expect, test } from 'vitest';
import { pool, type TokenVectors } from './pooling.js';

/** Tokens (1, −4), (2, 0), (4, −2) behind a row that is not theirs, and before padding. */
const ROW: TokenVectors = {
  values: Float32Array.of(9, 9, 1, -4, 2, 0, 4, -2, 99, 99),
  start: 2,
  count: 3,
  width: 2,
  skip: 0,
};

test.each([
  ['cls', 0, [1, -4]],
  ['cls', 1, [2, 0]],
  ['last', 1, [4, -2]],
  ['max', 0, [4, 0]],
  ['max', 2, [4, -2]],
  ['mean', 0, [7 / 3, -2]],
  ['mean', 1, [3, -1]],
  ['mean_sqrt_len', 1, [6 / Math.sqrt(2), -2 / Math.sqrt(2)]],
  // Tokens keep their weights where those before them are left out.
  ['weightedmean', 0, [17 / 6, -10 / 6]],
  ['weightedmean', 1, [16 / 5, -6 / 5]],
] as const)('%s without the first %i tokens', (mode, skip, expected) => {
  expect(pool({ ...ROW, skip }, [mode])).toEqual(Float32Array.from(expected));
});

test('several poolings stand side by side, in their order', () => {
  expect(pool(ROW, ['max', 'cls'])).toEqual(Float32Array.of(4, 0, 1, -4));
});
