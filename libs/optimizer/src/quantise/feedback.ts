/**
 * Weights rounded one input after the other, the error of each made up for by those that follow, as far as inputs go together
 * (GPTQ, arxiv.org/abs/2210.17323): what counts is the error of the product, not of the weights.
 */
import type { RoundedRows } from '@shoal/importer';

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
  return inverseFactor(secondMoments(inputs, columns), columns);
}

/** The lower half of [columns, columns]. */
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
      for (let j = 0; j <= i; j++) {
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

/** From the lower half of H: with rows and columns in reverse, H = LLᵀ, and U is L⁻¹ in reverse again. */
function inverseFactor(lower: Float64Array, n: number): Float64Array {
  const factor = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      // H is symmetric: the element of the upper half is that of the lower.
      let sum = lower[(n - 1 - j) * n + n - 1 - i]!;
      for (let k = 0; k < j; k++) sum -= factor[i * n + k]! * factor[j * n + k]!;
      factor[i * n + j] = i === j ? Math.sqrt(sum) : sum / factor[j * n + j]!;
    }
  }
  const inverse = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) {
      const share = factor[i * n + k]!;
      for (let j = 0; j <= k; j++) inverse[i * n + j]! -= share * inverse[k * n + j]!;
    }
    const diagonal = factor[i * n + i]!;
    inverse[i * n + i] = 1;
    for (let j = 0; j <= i; j++) inverse[i * n + j]! /= diagonal;
  }
  return inverse.reverse();
}
