/**
 * A map y = W h (+ b) some of whose inputs go: what is left takes over what went, by least squares over the inputs that texts gave.
 * From the normal equations, with R what goes and K what stays: W' = W_K + Δ, Δᵀ = (H_KK + λI)⁻¹ H_KR W_Rᵀ. That is ridge towards the
 * weights as they were: with few texts they stay.
 */
import type { StoredTensor } from '@shoal/importer';
import { floats, type Numbers } from './edits.js';
import { centred, type Moments, solverOf } from './ridge.js';

/** λ as a share of the mean diagonal. */
const PULL = 1e-3;

export interface LinearMap {
  /** [outputs, inputs] */
  readonly weight: Numbers;
  readonly bias: Numbers | undefined;
}

/**
 * Which `count` of `groups` of inputs to keep: one group after the other goes, each time that whose loss, when those that are left have
 * taken over what they can, adds least to the squared error of the outputs (optimal brain surgeon, Hassibi and Stork 1993, for groups):
 * tr(W_G [H⁻¹]_GG⁻¹ W_Gᵀ), of the weights and the inverse that those before have left. Of two inputs that do the same only one goes.
 * Resolves to places in `groups`, in their order.
 */
export function chooseGroups(
  { weight, bias }: LinearMap,
  moments: Moments,
  groups: readonly (readonly number[])[],
  count: number,
): readonly number[] {
  const [outputs = 0, inputs = 0] = weight.shape;
  const { xx } = bias === undefined ? moments : centred(moments);
  const inverse = solverOf(xx, PULL).inverse();
  // A row for each input, so that what belongs together lies together.
  const rows = Float64Array.from(
    { length: inputs * outputs },
    (_, at) => weight.values[(at % outputs) * inputs + Math.floor(at / outputs)]!,
  );
  const left = new Set(groups.keys());
  while (left.size > count) {
    let least: { group: number; harm: number; block: Float64Array } | undefined;
    for (const group of left) {
      const members = groups[group]!;
      const block = blockInverse(inverse, inputs, members);
      const harm = harmOf(rows, outputs, members, block);
      if (least === undefined || harm < least.harm) least = { group, harm, block };
    }
    const { group, block } = least!;
    left.delete(group);
    for (const other of left) for (const input of groups[other]!) takeOver(input, groups[group]!, block);
  }
  return [...left].sort((a, b) => a - b);

  /** What `input` does once those that are gone cannot: its row of the weights, and of the inverse. */
  function takeOver(input: number, gone: readonly number[], block: Float64Array): void {
    const shares = gone.map((_, n) =>
      gone.reduce((sum, other, m) => sum + inverse[input * inputs + other]! * block[m * gone.length + n]!, 0),
    );
    for (const [n, share] of shares.entries()) {
      const other = gone[n]!;
      for (let out = 0; out < outputs; out++) rows[input * outputs + out]! -= share * rows[other * outputs + out]!;
      for (let at = 0; at < inputs; at++) inverse[input * inputs + at]! -= share * inverse[other * inputs + at]!;
    }
  }
}

/** The inverse of the part of a matrix that is of `members` alone. */
function blockInverse(matrix: Float64Array, width: number, members: readonly number[]): Float64Array {
  const [first = 0] = members;
  if (members.length === 1) return Float64Array.of(1 / Math.max(Number.MIN_VALUE, matrix[first * width + first]!));
  const block = Float64Array.from(members.flatMap((row) => members.map((column) => matrix[row * width + column]!)));
  return solverOf(block, 0).inverse();
}

function harmOf(rows: Float64Array, outputs: number, members: readonly number[], block: Float64Array): number {
  let harm = 0;
  for (const [n, input] of members.entries()) {
    for (const [m, other] of members.entries()) {
      let product = 0;
      for (let out = 0; out < outputs; out++) product += rows[input * outputs + out]! * rows[other * outputs + out]!;
      harm += product * block[n * members.length + m]!;
    }
  }
  return harm;
}

/** The map of the inputs `kept`, in their order. What is constant of those that go becomes part of the bias, where there is one. */
export function refit(
  { weight, bias }: LinearMap,
  moments: Moments,
  kept: readonly number[],
): { readonly weight: StoredTensor; readonly bias: StoredTensor | undefined } {
  const [outputs = 0, inputs = 0] = weight.shape;
  const { values } = weight;
  const { xx } = bias === undefined ? moments : centred(moments);
  const stays = new Set(kept);
  const gone = Array.from({ length: inputs }, (_, n) => n).filter((n) => !stays.has(n));
  const within = new Float64Array(kept.length ** 2);
  const target = new Float64Array(kept.length * outputs);
  for (const [row, k] of kept.entries()) {
    for (const [column, other] of kept.entries()) within[row * kept.length + column] = xx[k * inputs + other]!;
    for (const r of gone) {
      const shared = xx[k * inputs + r]!;
      for (let out = 0; out < outputs; out++) target[row * outputs + out]! += shared * values[out * inputs + r]!;
    }
  }
  const change = solverOf(within, PULL).solve(target, outputs);
  const fitted = new Float32Array(outputs * kept.length);
  for (let out = 0; out < outputs; out++) {
    for (const [n, k] of kept.entries()) {
      fitted[out * kept.length + n] = values[out * inputs + k]! + change[n * outputs + out]!;
    }
  }
  const mean = (n: number) => moments.x[n]! / moments.tokens;
  const moved = bias?.values.map((value, out) => {
    let sum = value;
    for (const r of gone) sum += values[out * inputs + r]! * mean(r);
    for (const [n, k] of kept.entries()) sum -= change[n * outputs + out]! * mean(k);
    return sum;
  });
  return {
    weight: floats([outputs, kept.length], fitted),
    bias: moved && floats([outputs], moved),
  };
}
