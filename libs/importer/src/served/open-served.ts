/**
 * A served graph back to its checkpoint. Versions in a repository have the graph that was built, and no safetensors: what changes a
 * model by its tensors reads them out of the graph.
 */
import { parseJsonFile } from '@shoal/contracts';
import { indexGraph, lazyData, loadModel, type Model, type Node, serialiseModel, type Tensor } from '@shoal/onnx';
import { Checkpoint } from '../checkpoint.js';
import { purposeOf } from '../import/purpose.js';
import { storeWide } from '../import/store-narrow.js';
import { invalid } from '../invalid.js';
import { float32 } from '../precision/float32.js';
import type { StoredTensor } from '../safetensors.js';
import { CONFIG_KEY, graphFrom } from './build-from.js';
import type { KnownNames } from './made-up.js';
import { floatsOf, type WeightMap, weightMap } from './weight-map.js';

/** Constants up to here are compared to the bit. In larger ones the last bit of a cosine depends on who computed it. */
const EXACT_BYTES = 1024;
const ROUNDING = 1e-5;

export interface Served {
  /** config.json, with the class that the graph was built as. */
  readonly config: unknown;
  /**
   * The tensors that the graph was built from, in 32-bit floats, read out of the graph at each use. Numbers that have no part in the
   * graph are -0, as are those that were only added to others, which have both then. A gain that one was added to has lost the bits
   * that the sum had no room for. The graph that is built of it is the same to the bit.
   */
  readonly checkpoint: Checkpoint;
  readonly weights: WeightMap;
  /** As it is served, but that all weights are 32-bit floats, and values have the names that they would get today. */
  readonly graph: Model;
}

/**
 * `folder` is that of a version in a repository, `path` the ONNX file of a variant of it in 32-bit floats, which must stay as it is for as long as
 * the checkpoint is used.
 *
 * @throws ShoalError `model_invalid` where the file is no graph that Shoal builds in 32-bit floats of this config.json
 */
export function openServed(folder: string, path: string): Served {
  const file = storeWide(loadModel(path));
  const config = recordedConfig(file) ?? purposeOf(folder).config;
  const weights = weightMap(
    (checkpoint) => graphFrom({ folder, config, checkpoint, precision: float32 }),
    namesIn(file),
  );
  const graph = renamed(file, weights.blank);
  refuseOther(graph, weights, path);
  const { initializers } = graph.graph;
  const checkpoint = checkpointOf(weights, (name) => floatsOf(initializers.get(name)!.data));
  return { config, checkpoint, weights, graph };
}

/** The checkpoint of constants that are somewhere: those of a file, or what training made of them. They are read at each use. */
export function checkpointOf(weights: WeightMap, constantOf: (name: string) => Float32Array): Checkpoint {
  const tensors = [...weights.tensors.values()].map(({ name, shape, count }): [string, StoredTensor] => {
    return [name, { type: 'F32', shape, data: lazyData(4 * count, () => weights.tensor(name, constantOf)) }];
  });
  return new Checkpoint(new Map(tensors));
}

/** Of a graph that was built otherwise than its folder says. */
function recordedConfig({ metadata }: Model): unknown {
  const recorded = metadata.get(CONFIG_KEY);
  if (recorded === undefined) return undefined;
  try {
    return parseJsonFile(Buffer.from(recorded));
  } catch (error) {
    throw invalid(`the metadata ${CONFIG_KEY} ${(error as Error).message}`, error);
  }
}

/** Constants have the names of tensors, with something behind them where they are more than those. */
function namesIn({ graph }: Model): KnownNames {
  const names = [...graph.initializers.keys()];
  return { names, has: (name) => names.some((own) => own.startsWith(name)) };
}

/**
 * The same graph with the names and the order that nodes and values would get today: what outputs are made of is walked in both. As it
 * is where the two differ.
 */
function renamed(served: Model, built: Model): Model {
  const [own, other] = [served.graph, built.graph];
  const [ownIndex, otherIndex] = [indexGraph(own), indexGraph(other)];
  const names = new Map<string, string>();
  const taken = new Set<string>();
  const nodes = new Map<Node, Node>();
  const pairs = other.outputs.map(({ name }): [string, string] => [name, name]);
  // An array is walked to its end, what is added on the way included.
  for (const [from, to] of pairs) {
    if (names.get(from) === to) continue;
    if (names.has(from) || taken.has(to)) return served;
    names.set(from, to);
    taken.add(to);
    const [node, wanted] = [ownIndex.producer(from), otherIndex.producer(to)];
    if (node === undefined && wanted === undefined) continue;
    if (node === undefined || wanted === undefined || node.op !== wanted.op) return served;
    if (node.inputs.length !== wanted.inputs.length || node.outputs.length !== wanted.outputs.length) return served;
    nodes.set(wanted, node);
    for (const [n, name] of node.inputs.entries()) pairs.push([name, wanted.inputs[n]!]);
    for (const [n, name] of node.outputs.entries()) pairs.push([name, wanted.outputs[n]!]);
  }
  if (nodes.size !== own.nodes.length || nodes.size !== other.nodes.length) return served;
  const { inputs, outputs } = other;
  if (own.inputs.length !== inputs.length || inputs.some(({ name }) => names.get(name) !== name)) return served;
  const ordered = other.nodes.map((node) => ({ ...node, attributes: nodes.get(node)!.attributes }));
  const initializers = new Map([...own.initializers].map(([name, tensor]) => [names.get(name) ?? name, tensor]));
  return { ...served, graph: { ...own, nodes: ordered, inputs, outputs, initializers } };
}

function refuseOther(served: Model, { blank, constants }: WeightMap, path: string): void {
  const [own, built] = [served.graph.initializers, blank.graph.initializers];
  const odd = [...own].find(([name, tensor]) => {
    const other = built.get(name);
    return other === undefined || !(constants.has(name) ? alike(tensor, other) : same(tensor, other));
  });
  const missing = [...built.keys()].find((name) => !own.has(name));
  const name = odd?.[0] ?? missing;
  const wrong =
    name !== undefined
      ? `its constant ${name} is not`
      : Buffer.compare(skeleton(served), skeleton(blank)) === 0
        ? undefined
        : 'its operators are not';
  if (wrong === undefined) return;
  throw invalid(
    `${path} cannot be read back to a checkpoint: ${wrong} what Shoal builds in fp32 from this config.json; import the model again, ` +
      'with --dtype fp32',
  );
}

function alike(a: Tensor, b: Tensor): boolean {
  return a.type === b.type && a.dims.join() === b.dims.join();
}

function same(a: Tensor, b: Tensor): boolean {
  if (!alike(a, b)) return false;
  if (Buffer.compare(a.data.bytes(), b.data.bytes()) === 0) return true;
  if (a.type !== 'float32' || a.data.byteLength <= EXACT_BYTES) return false;
  const [own, built] = [floatsOf(a.data), floatsOf(b.data)];
  return own.every((value, n) => Math.abs(value - built[n]!) < ROUNDING);
}

/** All but the constants. */
function skeleton({ graph, ...model }: Model): Uint8Array {
  return serialiseModel({
    ...model,
    metadata: new Map(),
    graph: { ...graph, initializers: new Map(), valueInfos: [] },
  });
}
