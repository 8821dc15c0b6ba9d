/** The minimum of a smooth convex function by limited-memory BFGS (Liu and Nocedal 1989), in float64. */

/** The value at `x`; writes the gradient. */
export type Smooth = (x: Float64Array, gradient: Float64Array) => number;

export interface MinimiseOptions {
  readonly most: number;
  /** Of the gradient's norm, beside its norm at the start: it ends below. */
  readonly tolerance: number;
  /** After each step. May throw, to end it. */
  readonly onStep?: (step: number) => void;
}

export interface Minimum {
  readonly x: Float64Array;
  readonly value: number;
  readonly gradientNorm: number;
  readonly steps: number;
}

/** Steps whose change of the gradient is remembered. */
const MEMORY = 5;
/** Share of what the gradient promises that a step has to bring (Armijo's condition). */
const BROUGHT = 1e-4;
const MOST_HALVINGS = 40;

interface Pair {
  readonly step: Float64Array;
  readonly change: Float64Array;
  /** step · change, which is positive. */
  readonly curvature: number;
}

export function minimise(f: Smooth, start: Float64Array, { most, tolerance, onStep }: MinimiseOptions): Minimum {
  let x = Float64Array.from(start);
  let gradient = new Float64Array(x.length);
  let value = f(x, gradient);
  const first = Math.sqrt(dot(gradient, gradient));
  const pairs: Pair[] = [];
  let steps = 0;
  while (steps < most && Math.sqrt(dot(gradient, gradient)) > tolerance * first) {
    const direction = descent(gradient, pairs);
    const slope = dot(direction, gradient);
    let size = pairs.length === 0 ? 1 / first : 1;
    const next = new Float64Array(x.length);
    const nextGradient = new Float64Array(x.length);
    let reached = Number.POSITIVE_INFINITY;
    for (let n = 0; n < MOST_HALVINGS; n++, size /= 2) {
      for (let i = 0; i < x.length; i++) next[i] = x[i]! + size * direction[i]!;
      reached = f(next, nextGradient);
      if (reached <= value + BROUGHT * size * slope) break;
    }
    // What is left is rounding.
    if (!(reached < value)) break;
    remember(pairs, x, next, gradient, nextGradient);
    [x, gradient, value] = [next, nextGradient, reached];
    steps += 1;
    onStep?.(steps);
  }
  return { x, value, gradientNorm: Math.sqrt(dot(gradient, gradient)), steps };
}

/** −H·gradient, H the inverse Hessian as the pairs tell it. */
function descent(gradient: Float64Array, pairs: readonly Pair[]): Float64Array {
  const direction = minus(new Float64Array(gradient.length), gradient);
  const shares: number[] = [];
  for (const { step, change, curvature } of pairs.toReversed()) {
    const share = dot(step, direction) / curvature;
    shares.unshift(share);
    add(direction, change, -share);
  }
  const last = pairs.at(-1);
  if (last !== undefined) {
    const scale = last.curvature / dot(last.change, last.change);
    for (let i = 0; i < direction.length; i++) direction[i] = direction[i]! * scale;
  }
  for (const [n, { step, change, curvature }] of pairs.entries()) {
    add(direction, step, shares[n]! - dot(change, direction) / curvature);
  }
  return direction;
}

function remember(pairs: Pair[], x: Float64Array, next: Float64Array, before: Float64Array, after: Float64Array): void {
  const step = minus(next, x);
  const change = minus(after, before);
  const curvature = dot(step, change);
  if (!(curvature > 1e-12 * dot(change, change))) return;
  if (pairs.length === MEMORY) pairs.shift();
  pairs.push({ step, change, curvature });
}

function minus(a: Float64Array, b: Float64Array): Float64Array {
  const difference = new Float64Array(a.length);
  for (let i = 0; i < a.length; i++) difference[i] = a[i]! - b[i]!;
  return difference;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function add(to: Float64Array, what: Float64Array, times: number): void {
  for (let i = 0; i < to.length; i++) to[i] = to[i]! + times * what[i]!;
}
