/** Where the parts of a layer are in a checkpoint, whichever architecture of the importer it is of. */
import type { Checkpoint } from '@shoal/importer';

export interface Anatomy {
  /** What is before the number of a layer in the names of its tensors: `model.layers.` */
  readonly prefix: string;
  readonly layers: number;
  /** Numbers of a token's state. */
  readonly width: number;
  /** Neurons of the feed-forward part. */
  readonly inner: number;
  /** The map from neurons back to states, and those that lead to neurons, by their names in a layer: `mlp.down_proj`. */
  readonly down: string;
  readonly up: readonly string[];
  /** Where states are normalised: what a part reads, what came of it, or both. */
  readonly norms: 'before' | 'behind' | 'both';
  /** Of `behind`: the norm of what a layer gives, by its name in a layer. */
  readonly outputNorm: string | undefined;
  /** Layers that are built otherwise than the last: no other can take their place. */
  readonly fixed: ReadonlySet<number>;
}

const LAYER = /^(.*\blayers?\.)(\d+)\.(.+)$/;
const DOWN = /^(output\.dense|ffn\.lin2|mlp\.(down_proj|fc2|wo|Wo))\.weight$/;
const UP =
  /^(intermediate\.dense|ffn\.lin1|mlp\.(up_proj|gate_proj|gate_up_proj|up_gate_proj|gated_layers|fc11|fc12|Wi))\.weight$/;
const NORM_BEFORE = /^(input_layernorm|mlp_norm)\.weight$/;
const NORM_BEHIND = /^(output\.LayerNorm|output_layer_norm|norm2|mlp_ln|post_mlp_layernorm|mlp\.layernorm)\.weight$/;
const NORM_INSIDE = /^post_feedforward_layernorm\.weight$/;

/** The number of a layer and what follows it in the name of a tensor; undefined for tensors of no layer. */
export function placeOf(
  name: string,
): { readonly prefix: string; readonly layer: number; readonly rest: string } | undefined {
  const [, prefix, layer, rest] = LAYER.exec(name) ?? [];
  return prefix === undefined || rest === undefined ? undefined : { prefix, layer: Number(layer), rest };
}

/** A text says why this model cannot be taken apart. */
export function anatomyOf({ stored }: Checkpoint): Anatomy | string {
  const layers: Set<string>[] = [];
  const prefixes = new Set<string>();
  for (const name of stored.keys()) {
    const place = placeOf(name);
    if (place === undefined) continue;
    prefixes.add(place.prefix);
    layers[place.layer] ??= new Set();
    layers[place.layer]!.add(place.rest);
  }
  const [prefix] = prefixes;
  const last = layers.at(-1);
  if (prefix === undefined || last === undefined) return 'its layers share their weights';
  if (prefixes.size > 1 || layers.includes(undefined as never)) return 'its layers are not numbered in one row';
  const names = [...last];
  const nameOf = (pattern: RegExp) => names.find((name) => pattern.test(name))?.replace(/\.weight$/, '');
  const down = nameOf(DOWN);
  const [width, inner] = down === undefined ? [] : (stored.get(`${prefix}0.${down}.weight`)?.shape ?? []);
  if (down === undefined || width === undefined || inner === undefined)
    return 'no feed-forward part is known in its layers';
  const up = names.filter((name) => UP.test(name)).map((name) => name.replace(/\.weight$/, ''));
  const outputNorm = nameOf(NORM_BEHIND);
  const norms = nameOf(NORM_INSIDE) !== undefined ? 'both' : nameOf(NORM_BEFORE) !== undefined ? 'before' : 'behind';
  if (up.length === 0 || (norms === 'behind' && outputNorm === undefined))
    return 'its layers are of a form that is not known';
  const key = (own: ReadonlySet<string>) => [...own].sort().join();
  const fixed = new Set([...layers.keys()].filter((n) => key(layers[n]!) !== key(last)));
  return { prefix, layers: layers.length, width, inner, down, up, norms, outputNorm, fixed };
}
