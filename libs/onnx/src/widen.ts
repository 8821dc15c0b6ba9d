/**
 * A model of 16-bit floats as one of 32-bit floats, exactly. ONNX Runtime's CPU kernels know float16 for a few operators
 * only: it would put casts around the others, and around weights that are used twice in every pass.
 */
import { codeOf } from './element-types.js';
import { float16ToFloat32 } from './halves.js';
import { graphsOf, indexGraph } from './query.js';
import { cacheValue, castInput, castOutput, uint16sOf } from './retype.js';
import { lazyData } from './tensor-data.js';
import type { Attribute, Graph, Model, Tensor, ValueInfo } from './types.js';

const HALF = BigInt(codeOf('float16'));
const FLOAT: Attribute = { type: 'int', value: BigInt(codeOf('float32')) };
/** FunctionProto: nodes that are kept as bytes. */
const FUNCTIONS_TAG = [0xca, 0x01];

/** Whether the model computes in 16-bit floats and `widenModel` can change that. Weights that are only stored so do not count. */
export function isHalf({ graph, extra }: Model): boolean {
  const functions = extra.some((field) => FUNCTIONS_TAG.every((byte, n) => field[n] === byte));
  return !functions && computesInHalves(graph);
}

function computesInHalves(graph: Graph): boolean {
  const { consumers } = indexGraph(graph);
  for (const [name, { type }] of graph.initializers) {
    if (type === 'float16' && consumers(name).some(({ op }) => op !== 'Cast')) return true;
  }
  return graph.nodes.some((node) => graphsOf(node).some(computesInHalves));
}

/**
 * Changes `model` in place. Inputs and outputs keep their types by casts, but for the caches of a decoder
 * (`past…` and `present…`), which stay one memory.
 */
export function widenModel(model: Model): void {
  const { graph } = model;
  widenGraph(graph);
  for (const [n, input] of graph.inputs.entries()) {
    if (input.type !== 'float16') continue;
    if (cacheValue(input.name)) graph.inputs[n] = { ...input, type: 'float32' };
    else castInput(graph, input.name, 'float32');
  }
  for (const [n, output] of graph.outputs.entries()) {
    if (output.type !== 'float16') continue;
    if (cacheValue(output.name)) graph.outputs[n] = { ...output, type: 'float32' };
    else castOutput(graph, output.name, 'float16');
  }
}

function widenGraph(graph: Graph): void {
  for (const [name, tensor] of graph.initializers) graph.initializers.set(name, widenTensor(tensor));
  graph.valueInfos = graph.valueInfos.map(widenInfo);
  for (const node of graph.nodes) {
    for (const [name, attribute] of node.attributes) node.attributes.set(name, widenAttribute(name, attribute));
    for (const inner of graphsOf(node)) {
      widenGraph(inner);
      inner.inputs = inner.inputs.map(widenInfo);
      inner.outputs = inner.outputs.map(widenInfo);
    }
  }
}

/** `to` of Cast, `dtype` of what makes tensors, `output_dtype` of DequantizeLinear. */
const TYPE_ATTRIBUTES = new Set(['to', 'dtype', 'output_dtype']);

function widenAttribute(name: string, attribute: Attribute): Attribute {
  if (attribute.type === 'tensor') return { type: 'tensor', value: widenTensor(attribute.value) };
  if (attribute.type === 'int' && attribute.value === HALF && TYPE_ATTRIBUTES.has(name)) return FLOAT;
  return attribute;
}

function widenInfo(info: ValueInfo): ValueInfo {
  return info.type === 'float16' ? { ...info, type: 'float32' } : info;
}

const widened = new WeakMap<Tensor['data'], Tensor['data']>();

/** Data that tensors shared stays shared. */
function widenTensor(tensor: Tensor): Tensor {
  if (tensor.type !== 'float16') return tensor;
  const { data } = tensor;
  const wide = widened.get(data) ?? lazyData(2 * data.byteLength, () => float16ToFloat32(uint16sOf(data.bytes())));
  widened.set(data, wide);
  return { ...tensor, type: 'float32', data: wide };
}
