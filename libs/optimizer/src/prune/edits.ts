/** Checkpoints and their config.json with layers, neurons or heads left out. */
import { Checkpoint, type StoredTensor } from '@shoal/importer';
import { dataOf } from '@shoal/onnx';
import { type Anatomy, placeOf } from './anatomy.js';

/** Fields of config.json. */
export type Fields = Readonly<Record<string, unknown>>;

/** What a model is, as far as pruning changes it. */
export interface Parts {
  readonly config: unknown;
  readonly checkpoint: Checkpoint;
}

const LAYERS = ['num_hidden_layers', 'n_layers', 'n_layer'] as const;
const INNER = ['intermediate_size', 'hidden_dim', 'n_inner'] as const;
/** Lists with an entry for each layer. */
const BY_LAYER = ['layer_types', 'no_rope_layers'] as const;

/** transformers' own, of models that leave them out. */
const GEMMA3_EVERY = 6;
const QWEN_WINDOW_FROM = 28;
const SMOLLM3_EVERY = 4;
const MODERNBERT_EVERY = 3;

/** Layers `kept`, in their order, under new numbers; their kinds (windows, rotary positions) go with them. */
export function keepLayers({ config, checkpoint }: Parts, { layers }: Anatomy, kept: readonly number[]): Parts {
  const numbers = new Map(kept.map((layer, n) => [layer, n]));
  const tensors = [...checkpoint.stored].flatMap(([name, tensor]): [string, typeof tensor][] => {
    const place = placeOf(name);
    if (place === undefined) return [[name, tensor]];
    const number = numbers.get(place.layer);
    return number === undefined ? [] : [[`${place.prefix}${number}.${place.rest}`, tensor]];
  });
  const changed = edit(config, (fields) => {
    const kinds = Object.entries(kindsOf(fields, layers)).map(([name, list]) => [name, kept.map((n) => list[n])]);
    return { ...set(fields, LAYERS, kept.length), ...(Object.fromEntries(kinds) as Fields) };
  });
  return { config: changed, checkpoint: new Checkpoint(new Map(tensors)) };
}

/** config.json with `inner` neurons in every layer. */
export function withInner(config: unknown, inner: number): unknown {
  return edit(config, (fields) => set(fields, INNER, inner));
}

/** Models for images too have the fields of their language model in one of their own. */
export function edit(config: unknown, change: (fields: Fields) => Fields): unknown {
  const fields = config as Fields;
  const { text_config: text } = fields;
  return typeof text === 'object' && text !== null
    ? { ...fields, text_config: change(text as Fields) }
    : change(fields);
}

/** The fields that `edit` would change. */
export function fieldsOf(config: unknown): Fields {
  let found: Fields = {};
  edit(config, (fields) => {
    found = fields;
    return fields;
  });
  return found;
}

function set(fields: Fields, names: readonly string[], value: number): Fields {
  const name = names.find((candidate) => fields[candidate] !== undefined && fields[candidate] !== null) ?? names[0]!;
  return { ...fields, [name]: value };
}

/** What is different from layer to layer, as lists: where it follows from a layer's number, the number is about to change. */
function kindsOf(fields: Fields, layers: number): Readonly<Record<string, readonly unknown[]>> {
  const given = BY_LAYER.flatMap((name) => {
    const list = fields[name];
    return Array.isArray(list) && list.length === layers ? [[name, list as readonly unknown[]] as const] : [];
  });
  return { ...derivedKinds(fields, layers), ...Object.fromEntries(given) };
}

function derivedKinds(fields: Fields, layers: number): Readonly<Record<string, readonly unknown[]>> {
  const [named] = (fields.architectures as readonly string[] | undefined) ?? [];
  const family = (named ?? String(fields.model_type)).toLowerCase().replace(/[-_]/g, '');
  const number = (name: string, standard: number) => (fields[name] as number | null | undefined) ?? standard;
  const types = (slides: (n: number) => boolean) => ({
    layer_types: Array.from({ length: layers }, (_, n) => (slides(n) ? 'sliding_attention' : 'full_attention')),
  });
  if (family.startsWith('gemma2')) return types((n) => n % 2 === 0);
  if (family.startsWith('gemma3')) {
    const every = number('sliding_window_pattern', number('_sliding_window_pattern', GEMMA3_EVERY));
    return types((n) => (n + 1) % every !== 0);
  }
  if (family.startsWith('modernbert')) {
    const every = number('global_attn_every_n_layers', MODERNBERT_EVERY);
    return types((n) => n % every !== 0);
  }
  if (/^qwen[23]/.test(family) && fields.use_sliding_window === true) {
    return types((n) => n >= number('max_window_layers', QWEN_WINDOW_FROM));
  }
  if (family.startsWith('smollm3')) {
    const every = number('no_rope_layer_interval', SMOLLM3_EVERY);
    return { no_rope_layers: Array.from({ length: layers }, (_, n) => Number((n + 1) % every !== 0)) };
  }
  return {};
}

/** Tensors replaced by others of the same names. */
export function replace(checkpoint: Checkpoint, changed: ReadonlyMap<string, StoredTensor>): Checkpoint {
  return new Checkpoint(new Map([...checkpoint.stored, ...changed]));
}

export function floats(shape: readonly number[], values: Float32Array): StoredTensor {
  return { type: 'F32', shape, data: dataOf(values) };
}

/** A tensor that is there. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Undefined where there is none of that name. */
export function numbersOf(checkpoint: Checkpoint, name: string): Numbers | undefined {
  const shape = checkpoint.stored.get(name)?.shape;
  return shape && { shape, values: checkpoint.tensor(name, shape) };
}

/** Rows of a matrix, or numbers of a vector. */
export function pickRows({ shape, values }: Numbers, rows: readonly number[]): StoredTensor {
  const width = values.length / shape[0]!;
  const picked = new Float32Array(rows.length * width);
  for (const [n, row] of rows.entries()) picked.set(values.subarray(row * width, (row + 1) * width), n * width);
  return floats([rows.length, ...shape.slice(1)], picked);
}
