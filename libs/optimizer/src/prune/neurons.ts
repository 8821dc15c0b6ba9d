/** Leaves out neurons of the feed-forward parts; the others are fitted to do what went. */
import type { Checkpoint, StoredTensor } from '@shoal/importer';
import type { Candidate, Context, Made, Method, Subject } from '../types.js';
import type { Anatomy } from './anatomy.js';
import { numbersOf, type Parts, pickRows, replace, withInner } from './edits.js';
import { momentsOf, standing } from './observe.js';
import { chooseGroups, type LinearMap, refit } from './refit.js';
import type { Moments } from './ridge.js';
import { observedOf, open, openOrThrow, write } from './subject.js';
import { wiresOf } from './wires.js';

/** What kernels multiply best. */
const STEP = 64;
/** Decoders miss their neurons sooner than encoders, whose states lead to few answers. */
const SHARES = { encoder: [1 / 2, 1 / 4, 3 / 4, 1 / 8], decoder: [3 / 4, 1 / 2] };

export const neurons: Method = {
  name: 'neurons',
  description: 'leaves out neurons of the feed-forward parts, and fits the others to do what went',
  stage: 'width',

  async plan(subject) {
    const opened = open(subject);
    if (typeof opened === 'string') return opened;
    const { inner, layers } = opened.anatomy;
    const shares = SHARES[subject.original.task === 'text-generation' ? 'decoder' : 'encoder'];
    const widths = [...new Set(shares.map((share) => STEP * Math.round((share * inner) / STEP)))];
    const possible = widths.filter((width) => width >= STEP && width < inner);
    if (possible.length === 0)
      return `its feed-forward parts have ${inner} neurons, too few to leave out ${STEP} of them`;
    return possible.map((width): Candidate => {
      return {
        method: 'neurons',
        variant: `neurons${width}`,
        settings: { neurons: width },
        // Some 500 million products a second, of taking matrices apart and of leaving one neuron out after the other.
        seconds: Math.ceil(20 + (2 * layers * inner ** 3) / 5e8),
      };
    });
  },

  async make(candidate, subject, path, context): Promise<Made> {
    const { anatomy } = openOrThrow(subject);
    const kept = Number(candidate.settings.neurons);
    write(subject, await pruneNeurons(kept, subject, context), path);
    return { method: `${kept} of ${anatomy.inner} neurons in each layer, refitted`, notes: [] };
  },
};

/** The model with `kept` neurons in each layer. @throws as momentsOf */
export async function pruneNeurons(kept: number, subject: Subject, context: Context): Promise<Parts> {
  const { served, anatomy } = openOrThrow(subject);
  const observed = await observedOf(served, subject, context);
  const wires = wiresOf(served, anatomy);
  const orders = wires.map(({ neurons: value }) => ({ x: standing(anatomy.inner, value) }));
  const moments = await momentsOf(observed, orders);
  const changed = new Map<string, StoredTensor>();
  for (let layer = 0; layer < anatomy.layers; layer++) {
    context.signal.throwIfAborted();
    for (const [name, tensor] of pruneLayer(served.checkpoint, anatomy, layer, moments[layer]!, kept)) {
      changed.set(name, tensor);
    }
    context.onProgress((layer + 1) / anatomy.layers);
  }
  return { config: withInner(served.config, kept), checkpoint: replace(served.checkpoint, changed) };
}

/** The tensors of one layer that change. */
function pruneLayer(
  checkpoint: Checkpoint,
  { prefix, down, up, inner }: Anatomy,
  layer: number,
  moments: Moments,
  kept: number,
): ReadonlyMap<string, StoredTensor> {
  const name = `${prefix}${layer}.${down}`;
  const map: LinearMap = {
    weight: numbersOf(checkpoint, `${name}.weight`)!,
    bias: numbersOf(checkpoint, `${name}.bias`),
  };
  const each = Array.from({ length: inner }, (_, n) => [n]);
  const own = chooseGroups(map, moments, each, kept);
  const fitted = refit(map, moments, own);
  const changed = new Map<string, StoredTensor>([[`${name}.weight`, fitted.weight]]);
  if (fitted.bias !== undefined) changed.set(`${name}.bias`, fitted.bias);
  for (const part of up.flatMap((one) => [`${one}.weight`, `${one}.bias`])) {
    const tensor = numbersOf(checkpoint, `${prefix}${layer}.${part}`);
    if (tensor === undefined) continue;
    // A gate may be in the same matrix, above or below.
    const times = tensor.shape[0]! / inner;
    const rows = Array.from({ length: times }, (_, n) => own.map((neuron) => n * inner + neuron)).flat();
    changed.set(`${prefix}${layer}.${part}`, pickRows(tensor, rows));
  }
  return changed;
}
