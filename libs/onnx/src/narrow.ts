/** A model of 32-bit floats as one of 16-bit floats: half the memory, and what GPUs multiply fastest. */
import { freshName } from './edit.js';
import { codeOf } from './element-types.js';
import { float32ToFloat16 } from './halves.js';
import { invalid } from './invalid.js';
import { indexGraph } from './query.js';
import { cacheValue, castOutput, castValue, float32sOf } from './retype.js';
import { lazyData, type TensorData } from './tensor-data.js';
import type { Attribute, Graph, Model, Node, Tensor } from './types.js';

const FLOAT = BigInt(codeOf('float32'));
const HALF: Attribute = { type: 'int', value: BigInt(codeOf('float16')) };
const INFINITE = 0x7c00;
const LARGEST = 65_504;

/** What sums up many numbers is computed in 32 bits, and made narrow again. */
const STAYS_WIDE = new Set(['ReduceLogSumExp', 'ReduceSum', 'ReduceL2', 'ReduceSumSquare']);
/** So are these, with all that leads to their angles: 16 bits tell positions apart up to 2,048 only. */
const OF_ANGLES = new Set(['Sin', 'Cos']);

/** Operators that make no floats, whatever they read. */
const MAKES_NO_FLOATS = new Set(['Shape', 'Size', 'NonZero', 'Not', 'Equal', 'Greater', 'Less']);
/** They read a value in whichever type it has. */
const READS_ANY = new Set(['Cast', 'Shape', 'Size']);

type Float = 'float32' | 'float16';

/**
 * For graphs that `GraphBuilder` made, of floats that nothing is quantised in; changes `model` and returns it. Inputs and
 * outputs keep their types by casts, but for the caches of a decoder (`past…` and `present…`), which become 16 bits wide and
 * stay one memory. What is computed from an output is computed from its 32 bits.
 *
 * @throws ShoalError `model_invalid`, when a weight is read, naming it where it is too large for 16 bits
 */
export function narrowModel(model: Model): Model {
  const { graph } = model;
  const floats = floatsOf(graph);
  const wide = wideNodes(graph, floats);
  const types = typesOf(graph, floats, wide);
  const nodes = [...graph.nodes];
  const constants = new Map(graph.initializers);
  for (const [name, tensor] of constants) {
    if (types.get(name) === 'float16') graph.initializers.set(name, narrowTensor(tensor, name));
  }
  for (const node of nodes) if (!wide.has(node)) narrowAttributes(node);
  graph.inputs = graph.inputs.map((input) => ({ ...input, type: types.get(input.name) ?? input.type }));
  const casts = castOutputs(graph, types);
  for (const node of nodes) {
    if (READS_ANY.has(node.op)) continue;
    const wanted = wide.has(node) ? 'float32' : 'float16';
    for (const name of new Set(node.inputs)) {
      if ((types.get(name) ?? wanted) === wanted) continue;
      const constant = constants.get(name);
      // Before its first reader, so before all.
      const cast =
        casts.get(name) ?? (constant ? wideCopy(graph, name, constant) : castValue(graph, name, wanted, node));
      casts.set(name, cast);
      node.inputs = node.inputs.map((input) => (input === name ? cast : input));
    }
  }
  graph.valueInfos = [];
  return model;
}

/** Values of 32-bit floats. Most operators hand on the type of what they read first. */
function floatsOf({ inputs, initializers, nodes }: Graph): ReadonlySet<string> {
  const floats = new Set(inputs.filter(({ type }) => type === 'float32').map(({ name }) => name));
  for (const [name, { type }] of initializers) if (type === 'float32') floats.add(name);
  for (const node of nodes) {
    const { op, outputs } = node;
    const [first = '', second = ''] = node.inputs;
    if (op === 'Cast' ? !castsToFloat(node) : MAKES_NO_FLOATS.has(op)) continue;
    if (op !== 'Cast' && !floats.has(op === 'Where' ? second : first)) continue;
    // The second output of TopK is places.
    for (const output of op === 'TopK' ? outputs.slice(0, 1) : outputs) floats.add(output);
  }
  return floats;
}

function castsToFloat({ op, attributes }: Node): boolean {
  const to = attributes.get('to');
  return op === 'Cast' && to?.type === 'int' && to.value === FLOAT;
}

/** Nodes that go on computing in 32 bits. */
function wideNodes({ nodes, outputs }: Graph, floats: ReadonlySet<string>): ReadonlySet<Node> {
  const wide = new Set(nodes.filter(({ op }) => STAYS_WIDE.has(op)));
  const given = new Set(outputs.map(({ name }) => name).filter((name) => floats.has(name) && !cacheValue(name)));
  for (const node of nodes) {
    if (!node.inputs.some((name) => given.has(name))) continue;
    wide.add(node);
    for (const name of node.outputs) if (floats.has(name)) given.add(name);
  }
  const angles = new Set<string>();
  for (const node of nodes.toReversed()) {
    if (!OF_ANGLES.has(node.op) && !node.outputs.some((name) => angles.has(name))) continue;
    wide.add(node);
    for (const name of node.inputs) if (floats.has(name)) angles.add(name);
  }
  return wide;
}

/** What each value of `floats` is made as. */
function typesOf(graph: Graph, floats: ReadonlySet<string>, wide: ReadonlySet<Node>): Map<string, Float> {
  const { producer, consumers } = indexGraph(graph);
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const stays = (name: string) => {
    if (inputs.has(name)) return !cacheValue(name);
    const maker = producer(name);
    // A constant that only wide nodes read.
    if (maker === undefined) return consumers(name).every((node) => wide.has(node));
    return wide.has(maker);
  };
  return new Map([...floats].map((name) => [name, stays(name) ? 'float32' : 'float16']));
}

/** Of a constant that became narrow for other readers. */
function wideCopy(graph: Graph, name: string, constant: Tensor): string {
  const copy = freshName(graph, `${name}_float32`);
  graph.initializers.set(copy, constant);
  return copy;
}

function narrowAttributes(node: Node): void {
  if (castsToFloat(node)) node.attributes.set('to', HALF);
  for (const [name, attribute] of node.attributes) {
    if (attribute.type !== 'tensor') continue;
    node.attributes.set(name, { type: 'tensor', value: narrowTensor(attribute.value, node.name) });
  }
}

/** Outputs in the types that they have to have. Returns them by the values that they are cast from. */
function castOutputs(graph: Graph, types: Map<string, Float>): Map<string, string> {
  const casts = new Map<string, string>();
  for (const [n, output] of graph.outputs.entries()) {
    const { name } = output;
    const made = types.get(name);
    if (made === undefined) continue;
    const type = cacheValue(name) ? 'float16' : 'float32';
    graph.outputs[n] = { ...output, type };
    if (type === made) continue;
    castOutput(graph, name, type);
    const [from = ''] = indexGraph(graph).producer(name)?.inputs ?? [];
    types.set(name, type);
    types.set(from, made);
    casts.set(from, name);
  }
  return casts;
}

const narrowed = new WeakMap<TensorData, TensorData>();

function narrowTensor(tensor: Tensor, name: string): Tensor {
  if (tensor.type !== 'float32') return tensor;
  const { data, dims } = tensor;
  const what = dims.length === 0 ? undefined : name;
  const half = narrowed.get(data) ?? lazyData(data.byteLength / 2, () => narrow(float32sOf(data.bytes()), what));
  narrowed.set(data, half);
  return { ...tensor, type: 'float16', data: half };
}

/** Weights must fit. A single number without a name stands for "very much" where it does not: it is cut. */
function narrow(values: Float32Array, name: string | undefined): Uint16Array {
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const bits = float32ToFloat16(value);
    if ((bits & 0x7fff) < INFINITE) halves[i] = bits;
    else if (name === undefined) halves[i] = float32ToFloat16(Math.sign(value) * LARGEST);
    else throw invalid(`${name} holds ${value}, and 16-bit floats end at ±${LARGEST}: import it as fp32`);
  }
  return halves;
}
