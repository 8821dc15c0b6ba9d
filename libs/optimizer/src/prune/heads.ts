/** Leaves out heads of attention, whole groups where several share keys and values; what gathers the others takes over. */
import { ShoalError } from '@shoal/contracts';
import type { Checkpoint, StoredTensor } from '@shoal/importer';
import type { Candidate, Context, Method, Subject } from '../types.js';
import { type AttentionAnatomy, attentionOf, withGroups } from './attention.js';
import { numbersOf, type Parts, pickRows, replace } from './edits.js';
import { momentsOf, standing } from './observe.js';
import { chooseGroups, type LinearMap, refit } from './refit.js';
import type { Moments } from './ridge.js';
import { observedOf, open, openOrThrow, write } from './subject.js';
import { inputOf } from './wires.js';

/** What kernels multiply best. */
const STEP = 64;
const SHARES = [3 / 4, 1 / 2];

export const heads: Method = {
  name: 'heads',
  description:
    'leaves out heads of attention, whole groups of them where they share keys, and fits the others to do what went',
  stage: 'width',

  async plan(subject) {
    const opened = open(subject);
    if (typeof opened === 'string') return opened;
    const { served, anatomy } = opened;
    const attention = attentionOf(served.config, served.checkpoint, anatomy);
    if (typeof attention === 'string') return attention;
    const counts = keptCounts(attention);
    const { groups, headDim } = attention;
    if (counts.length === 0) return `it has ${groups} groups of heads of ${headDim} numbers: none can go`;
    const width = attention.heads * headDim;
    return counts.map((kept): Candidate => {
      return {
        method: 'heads',
        variant: `heads${(attention.heads / groups) * kept}`,
        settings: { groups: kept },
        seconds: Math.ceil(20 + (anatomy.layers * width ** 3) / 2e8),
      };
    });
  },

  async make(candidate, subject, path, context) {
    const kept = Number(candidate.settings.groups);
    const { parts, attention } = await pruneHeads(kept, subject, context);
    write(subject, parts, path);
    const left = (attention.heads / attention.groups) * kept;
    return { method: `${left} of ${attention.heads} heads in each layer, refitted`, notes: [] };
  },
};

/** Groups such that the heads together are as wide as kernels like it. */
function keptCounts({ heads: all, groups, headDim }: AttentionAnatomy): readonly number[] {
  const width = (all / groups) * headDim;
  const step = STEP / greatestDivisor(STEP, width);
  const counts = SHARES.map((share) => step * Math.max(1, Math.round((share * groups) / step)));
  return [...new Set(counts)].filter((count) => count < groups);
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** The model with `kept` groups in each layer. @throws ShoalError `invalid_request` where it cannot be; as momentsOf */
export async function pruneHeads(
  kept: number,
  subject: Subject,
  context: Context,
): Promise<{ readonly parts: Parts; readonly attention: AttentionAnatomy }> {
  const { served, anatomy } = openOrThrow(subject);
  const attention = attentionOf(served.config, served.checkpoint, anatomy);
  if (typeof attention === 'string') throw new ShoalError('invalid_request', attention);
  const observed = await observedOf(served, subject, context);
  const width = attention.heads * attention.headDim;
  const layers = Array.from({ length: anatomy.layers }, (_, n) => `${anatomy.prefix}${n}.`);
  const moments = await momentsOf(
    observed,
    layers.map((layer) => ({ x: standing(width, inputOf(served, `${layer}${attention.out}.weight`)) })),
  );
  const changed = new Map<string, StoredTensor>();
  for (const [n, layer] of layers.entries()) {
    context.signal.throwIfAborted();
    for (const [name, tensor] of pruneLayer(served.checkpoint, layer, attention, moments[n]!, kept)) {
      changed.set(name, tensor);
    }
    context.onProgress((n + 1) / layers.length);
  }
  const config = withGroups(served.config, attention, kept);
  return { parts: { config, checkpoint: replace(served.checkpoint, changed) }, attention };
}

/** The tensors of one layer that change. */
function pruneLayer(
  checkpoint: Checkpoint,
  layer: string,
  { query, key, value, out, heads: all, groups, headDim }: AttentionAnatomy,
  moments: Moments,
  kept: number,
): ReadonlyMap<string, StoredTensor> {
  const size = (all / groups) * headDim;
  const columnsOf = (group: number, width: number, from = 0) =>
    Array.from({ length: width }, (_, n) => from + group * width + n);
  const map: LinearMap = {
    weight: numbersOf(checkpoint, `${layer}${out}.weight`)!,
    bias: numbersOf(checkpoint, `${layer}${out}.bias`),
  };
  const each = Array.from({ length: groups }, (_, group) => columnsOf(group, size));
  const own = chooseGroups(map, moments, each, kept);
  const queries = own.flatMap((group) => columnsOf(group, size));
  const fitted = refit(map, moments, queries);
  const changed = new Map<string, StoredTensor>([[`${layer}${out}.weight`, fitted.weight]]);
  if (fitted.bias !== undefined) changed.set(`${layer}${out}.bias`, fitted.bias);
  const keys = (from: number) => own.flatMap((group) => columnsOf(group, headDim, from));
  const [wide, narrow] = [all * headDim, groups * headDim];
  const rows: readonly (readonly [string | undefined, readonly number[]])[] =
    key === undefined
      ? [[query, [...queries, ...keys(wide), ...keys(wide + narrow)]]]
      : [
          [query, queries],
          [key, keys(0)],
          [value, keys(0)],
        ];
  for (const [name, picked] of rows) {
    for (const part of ['weight', 'bias']) {
      const tensor = numbersOf(checkpoint, `${layer}${name}.${part}`);
      if (tensor !== undefined) changed.set(`${layer}${name}.${part}`, pickRows(tensor, picked));
    }
  }
  return changed;
}
