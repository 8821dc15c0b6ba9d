/** How much layers change the states that they read: the order in which they are tried. */

import { type Observed, observe } from './observe.js';
import type { LayerWires } from './wires.js';

/**
 * The mean angle between the states that go into layer `from` and those that come out `count` layers on, as a share of half a turn,
 * by [count - 1][from] (Gromov et al. 2024); for one layer it orders as the block influence of ShortGPT does (Men et al. 2024). Over
 * all tokens: what makes a sentence's vector, or a class, is read from any of them. Where the last layer goes on with the first token of
 * each text, over those.
 *
 * @throws as observe
 */
export async function influences(
  observed: Observed,
  layers: readonly LayerWires[],
  width: number,
): Promise<readonly (readonly number[])[]> {
  const last = layers.length - 1;
  const sums = layers.map((_, count) =>
    Array.from({ length: layers.length - count }, () => ({ angles: 0, tokens: 0 })),
  );
  const first = layers[last]!.first;
  await observe(
    observed,
    (g) => {
      const states = [layers[0]!.input, ...layers.map(({ output }) => output)];
      const all = states.map((value, n) => ({ name: `state.${n}`, value, type: 'float32' as const }));
      if (first === undefined) return all;
      const firsts = states.slice(0, -1).map((value, n) => ({
        ...{ name: `first.${n}`, type: 'float32' as const },
        value: g.op('Gather', [value, first]),
      }));
      return [...all, ...firsts];
    },
    (outputs) => {
      const numbers = (name: string) => outputs[name]!.data as Float32Array;
      for (const [count, row] of sums.entries()) {
        for (const [from, sum] of row.entries()) {
          const to = from + count + 1;
          const start = first !== undefined && to === layers.length ? `first.${from}` : `state.${from}`;
          addAngles(sum, numbers(start), numbers(`state.${to}`), width);
        }
      }
    },
  );
  return sums.map((row) => row.map(({ angles, tokens }) => angles / tokens));
}

function addAngles(sum: { angles: number; tokens: number }, a: Float32Array, b: Float32Array, width: number): void {
  for (let from = 0; from < a.length; from += width) {
    let [dot, aa, bb] = [0, 0, 0];
    for (let at = from; at < from + width; at++) {
      dot += a[at]! * b[at]!;
      aa += a[at]! ** 2;
      bb += b[at]! ** 2;
    }
    sum.angles += Math.acos(Math.min(1, Math.max(-1, dot / Math.sqrt(aa * bb || 1)))) / Math.PI;
    sum.tokens += 1;
  }
}
