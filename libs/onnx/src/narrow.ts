/** A model of 32-bit floats as one of 16-bit floats: half the memory, and what GPUs multiply fastest. */
import { codeOf } from './element-types.js';
import { float32ToFloat16 } from './halves.js';
import { invalid } from './invalid.js';
import { cacheValue, castInput, castOutput, castValue, float32sOf } from './retype.js';
import { lazyData, type TensorData } from './tensor-data.js';
import type { Attribute, Graph, Model, Tensor } from './types.js';

const FLOAT = BigInt(codeOf('float32'));
const HALF: Attribute = { type: 'int', value: BigInt(codeOf('float16')) };
const INFINITE = 0x7c00;
const LARGEST = 65_504;

/** What sums up many numbers or ends in an output is computed in 32 bits. */
const STAYS_WIDE = new Set(['TopK', 'ReduceLogSumExp', 'ReduceSum', 'ReduceL2', 'ReduceSumSquare']);

/**
 * For graphs that `GraphBuilder` made; changes `model` and returns it. Inputs and outputs keep their types by casts, but
 * for the caches of a decoder (`past…` and `present…`), which become 16 bits wide and stay one memory.
 *
 * @throws ShoalError `model_invalid`, when a weight is read, naming it where it is too large for 16 bits
 */
export function narrowModel(model: Model): Model {
  const { graph } = model;
  for (const [name, tensor] of graph.initializers) graph.initializers.set(name, narrowTensor(tensor, name));
  for (const node of graph.nodes) {
    for (const [name, attribute] of node.attributes) {
      if (attribute.type === 'tensor') {
        node.attributes.set(name, { type: 'tensor', value: narrowTensor(attribute.value, node.name) });
      } else if (node.op === 'Cast' && attribute.type === 'int' && attribute.value === FLOAT) {
        node.attributes.set(name, HALF);
      }
    }
  }
  const wide = widenSome(graph);
  for (const [n, input] of graph.inputs.entries()) {
    if (input.type !== 'float32') continue;
    if (cacheValue(input.name)) graph.inputs[n] = { ...input, type: 'float16' };
    else castInput(graph, input.name, 'float16');
  }
  for (const [n, output] of graph.outputs.entries()) {
    if (output.type !== 'float32' || wide.has(output.name)) continue;
    if (cacheValue(output.name)) graph.outputs[n] = { ...output, type: 'float16' };
    else castOutput(graph, output.name, 'float32');
  }
  graph.valueInfos = [];
  return model;
}

/** Casts around the operators of `STAYS_WIDE`. Returns the outputs of the graph that they make. */
function widenSome(graph: Graph): ReadonlySet<string> {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const wide = new Set<string>();
  for (const node of graph.nodes.filter(({ op }) => STAYS_WIDE.has(op))) {
    const [from = '', ...rest] = node.inputs;
    const [to = ''] = node.outputs;
    node.inputs = [castValue(graph, from, 'float32', node), ...rest];
    if (outputs.has(to)) wide.add(to);
    else castOutput(graph, to, 'float16');
  }
  return wide;
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
