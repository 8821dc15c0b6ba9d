/**
 * AdamW: Adam (Kingma and Ba 2015) with decay of weights apart from the gradient (Loshchilov and Hutter 2019), in PyTorch's order of
 * operations. A loop in JavaScript takes as long as the same as an ONNX graph: memory is what it waits for.
 */

/** One weight and its running means of gradients and their squares; all of one length. */
export interface Moments {
  readonly weight: Float32Array;
  readonly first: Float32Array;
  readonly second: Float32Array;
}

export interface AdamStep {
  /** Counted from 1. */
  readonly step: number;
  readonly rate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** What the gradient is multiplied by first. */
  readonly scale: number;
}

/** Changes all three arrays in place. */
export function adamw({ weight, first, second }: Moments, gradient: Float32Array, options: AdamStep): void {
  const { step, rate, beta1, beta2, epsilon, weightDecay, scale } = options;
  const size = rate / (1 - beta1 ** step);
  const root = Math.sqrt(1 - beta2 ** step);
  const keep = 1 - rate * weightDecay;
  const [new1, new2] = [1 - beta1, 1 - beta2];
  for (let i = 0; i < weight.length; i++) {
    const slope = gradient[i]! * scale;
    const m = beta1 * first[i]! + new1 * slope;
    const v = beta2 * second[i]! + new2 * slope * slope;
    first[i] = m;
    second[i] = v;
    weight[i] = weight[i]! * keep - (size * m) / (Math.sqrt(v) / root + epsilon);
  }
}

export function addTo(sum: Float32Array, values: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + values[i]!;
}

/** In 64 bits. */
export function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
  return sum;
}
