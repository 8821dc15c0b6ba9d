/**
 * Weights rounded one input after the other, the error of each made up for by those that follow, as far as inputs go together
 * (GPTQ, arxiv.org/abs/2210.17323): what counts is the error of the product, not of the weights.
 */
import type { RoundedRows } from '@shoal/importer';
import { cholesky, inverseOfLower } from '../linear/cholesky.js';

const LARGEST = 127;
/** Share of the mean square that is added to each, so that what a few texts have in common is not taken for a law. */
const DAMPING = 0.01;

/**
 * To 8 bits. `weights` are [rows, columns], row-major, `inputs` [n, columns]. Rows have the scales that make their largest weight
 * fit. Of inputs that have nothing to do with each other, each weight gets its nearest level.
 */
export function roundWithFeedback(
  weights: Float32Array,
  rows: number,
  columns: number,
  inputs: Float32Array,
): RoundedRows {
  const feedback = feedbackOf(inputs, columns);
  const data = new Int8Array(rows * columns);
  const scales = new Float32Array(rows);
  const row = new Float64Array(columns);
  for (let r = 0; r < rows; r++) {
    row.set(weights.subarray(r * columns, (r + 1) * columns));
    const scale = Math.fround(row.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / LARGEST);
    scales[r] = scale;
    if (scale === 0) continue;
    for (let i = 0; i < columns; i++) {
      const level = Math.min(LARGEST, Math.max(-LARGEST, Math.round(row[i]! / scale)));
      data[i * rows + r] = level;
      const start = i * columns;
      const wrong = (row[i]! - level * scale) / feedback[start + i]!;
      for (let j = i + 1; j < columns; j++) row[j]! -= wrong * feedback[start + j]!;
    }
  }
  return { data, scales };
}

/** The upper triangular U [columns, columns] of H⁻¹ = UᵀU, H being the mean of x·xᵀ over the rows of `inputs`, damped. */
export function feedbackOf(inputs: Float32Array, columns: number): Float64Array {
  // With rows and columns in reverse, which makes its upper half a lower one, H = LLᵀ, and U is L⁻¹ in reverse again.
  const reversed = secondMoments(inputs, columns).reverse();
  return inverseOfLower(cholesky(reversed, columns), columns).reverse();
}

/** The upper half of [columns, columns]. */
function secondMoments(inputs: Float32Array, columns: number): Float64Array {
  const count = inputs.length / columns;
  const sums = new Float64Array(columns * columns);
  // Four rows at a time: the sums are the larger part of the memory that is walked through.
  for (let first = 0; first < count; first += 4) {
    const at = (n: number) => Math.min(first + n, count - 1) * columns;
    const used = (n: number) => Number(first + n < count);
    const [a, b, c, d] = [at(0), at(1), at(2), at(3)];
    const [second, third, fourth] = [used(1), used(2), used(3)];
    for (let i = 0; i < columns; i++) {
      const w = inputs[a + i]!;
      const x = second * inputs[b + i]!;
      const y = third * inputs[c + i]!;
      const z = fourth * inputs[d + i]!;
      const start = i * columns;
      for (let j = i; j < columns; j++) {
        sums[start + j]! += w * inputs[a + j]! + x * inputs[b + j]! + y * inputs[c + j]! + z * inputs[d + j]!;
      }
    }
  }
  let trace = 0;
  for (let i = 0; i < columns; i++) trace += sums[i * columns + i]!;
  // With fewer rows than columns there is less to be learnt from them.
  const damping = (DAMPING * (1 + columns / count) * trace) / columns || 1;
  for (let i = 0; i < columns; i++) sums[i * columns + i]! += damping;
  return sums.map((sum) => sum / Math.max(1, count));
}
