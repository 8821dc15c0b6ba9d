/** Rotary positions of encoders: tables of cosines and sines, by which queries and keys are turned. */
import { lazyData, type Value } from '@shoal/onnx';
import type { EncoderGraph } from './graph.js';

/** [positions, frequencies] each. */
export interface RotaryTables {
  readonly cos: Value;
  readonly sin: Value;
}

/** Radians per position of each pair of numbers of a head, as Su et al. (2021) have them. */
export function frequenciesOf(base: number, headWidth: number): Float64Array {
  return Float64Array.from({ length: headWidth / 2 }, (_, n) => base ** ((-2 * n) / headWidth));
}

/** Tables of `length` positions, under names that begin with `name`. */
export function rotaryTables(e: EncoderGraph, name: string, length: number, frequencies: Float64Array): RotaryTables {
  const half = frequencies.length;
  const make = (of: (angle: number) => number) => {
    const values = new Float32Array(length * half);
    for (let n = 0; n < values.length; n++) values[n] = of(Math.floor(n / half) * frequencies[n % half]!);
    return values;
  };
  const constant = (part: string, of: (angle: number) => number) =>
    e.g.constant(
      `${name}.${part}`,
      'float32',
      [length, half],
      lazyData(4 * length * half, () => make(of)),
    );
  return { cos: constant('cos', Math.cos), sin: constant('sin', Math.sin) };
}

/** `states` [batch, sequence, heads × width], whose first column is position 0, turned: each number of a head with the one half a head on. */
export function turn(e: EncoderGraph, states: Value, { cos, sin }: RotaryTables, heads: number): Value {
  return e.g.contrib('RotaryEmbedding', [states, e.g.ints([0]), cos, sin], 1, { num_heads: heads })[0]!;
}
