/**
 * What layers that are dropped did, as far as the feed-forward part before them can do it: a linear map of what that part adds, fitted
 * by ridge and multiplied into its last weights, so that it costs nothing (ReplaceMe, Shopkhoev et al. 2025).
 *
 * Where states are normalised before each part, a layer adds M to them, and the layers dropped change what comes of it by D: with
 * T = I + (MᵀM + λI)⁻¹ MᵀD the layer adds M T. Where states are normalised behind, as in BERT, the sum before the norm is what is fitted,
 * to that of the last layer dropped, whose norm takes the place of this layer's.
 */
import type { StoredTensor } from '@shoal/importer';
import type { Value } from '@shoal/onnx';
import type { Anatomy } from './anatomy.js';
import { fieldsOf, floats, numbersOf, type Parts, replace } from './edits.js';
import { type MomentOrder, momentsOf, type Observed } from './observe.js';
import { centred, type Moments, solverOf } from './ridge.js';
import type { LayerWires } from './wires.js';

/** Layers that go, one after the other. */
interface Run {
  readonly from: number;
  readonly to: number;
}

/** A run, and what was seen of the layer before it. */
export interface Repair extends Run {
  readonly moments: Moments;
}

/** Why nothing can be repaired; undefined where something can. */
export function unrepairable({ norms }: Anatomy): string | undefined {
  return norms === 'both'
    ? 'what its layers add is normalised before it is added, so that no map can be multiplied into their weights'
    : undefined;
}

function runsOf(dropped: readonly number[]): readonly Run[] {
  const runs: Run[] = [];
  for (const layer of dropped.toSorted((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last?.to === layer - 1) runs[runs.length - 1] = { from: last.from, to: layer };
    else runs.push({ from: layer, to: layer });
  }
  return runs;
}

/** What is needed to repair the loss of these layers; the first layer has none before it. @throws as momentsOf */
export async function observeRepairs(
  observed: Observed,
  anatomy: Anatomy,
  wires: readonly LayerWires[],
  dropped: readonly number[],
): Promise<readonly Repair[]> {
  const runs = unrepairable(anatomy) === undefined ? runsOf(dropped).filter(({ from }) => from > 0) : [];
  const moments = await momentsOf(
    observed,
    runs.map((run) => orderOf(anatomy, wires, run)),
  );
  return runs.map((run, n) => ({ ...run, moments: moments[n]! }));
}

function orderOf({ width, norms }: Anatomy, wires: readonly LayerWires[], { from, to }: Run): MomentOrder {
  const [before, last] = [wires[from - 1]!, wires[to]!];
  const [own, wanted] = norms === 'behind' ? [before.sum!, last.sum!] : [before.output, last.output];
  return {
    x: { width, make: (g) => pick(g, before.added) },
    y: { width, make: (g) => g.op('Sub', [wanted, pick(g, own)]) },
  };

  /** Only of the tokens that the last layer goes on with. */
  function pick(g: Parameters<MomentOrder['x']['make']>[0], value: Value): Value {
    return last.first === undefined ? value : g.op('Gather', [value, last.first]);
  }
}

/** The model with all its layers, some of whose last maps do what the runs did. `pull`: see `solverOf`. */
export function repaired(
  { config, checkpoint }: Parts,
  anatomy: Anatomy,
  repairs: readonly Repair[],
  pull: number,
): Parts {
  const { prefix, down, outputNorm, width } = anatomy;
  const scale = (fieldsOf(config).residual_multiplier as number | undefined) ?? 1;
  const changed = new Map<string, StoredTensor>();
  for (const { from, to, moments } of repairs) {
    const name = `${prefix}${from - 1}.${down}`;
    const weight = numbersOf(checkpoint, `${name}.weight`)!;
    const bias = numbersOf(checkpoint, `${name}.bias`);
    const { xx, xy } = bias === undefined ? moments : centred(moments);
    const map = solverOf(xx, pull).solve(xy, width);
    changed.set(`${name}.weight`, floats(weight.shape, mapped(weight.values, map, width)));
    if (bias !== undefined) {
      const values = mapped(bias.values, map, width);
      for (let out = 0; out < width; out++) {
        let rest = moments.y[out]!;
        for (let at = 0; at < width; at++) rest -= map[at * width + out]! * moments.x[at]!;
        values[out]! += rest / moments.tokens / scale;
      }
      changed.set(`${name}.bias`, floats(bias.shape, values));
    }
    for (const part of outputNorm === undefined ? [] : ['weight', 'bias']) {
      const norm = checkpoint.stored.get(`${prefix}${to}.${outputNorm}.${part}`);
      if (norm !== undefined && !('matrix' in norm)) changed.set(`${prefix}${from - 1}.${outputNorm}.${part}`, norm);
    }
  }
  return { config, checkpoint: replace(checkpoint, changed) };
}

/** (I + R)ᵀ W for W [width, columns] and R [width, width]. */
function mapped(values: Float32Array, map: Float64Array, width: number): Float32Array {
  const columns = values.length / width;
  const sums = Float64Array.from(values);
  for (let at = 0; at < width; at++) {
    for (let out = 0; out < width; out++) {
      const factor = map[at * width + out]!;
      for (let column = 0; column < columns; column++) {
        sums[out * columns + column]! += factor * values[at * columns + column]!;
      }
    }
  }
  return Float32Array.from(sums);
}
