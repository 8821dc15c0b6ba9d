/**
 * Weights that are stored in 16 bits and widened by a Cast, as fp32 variants have them on disk: trained in 32 bits, since updates
 * are too small for 16, and rounded once at the end.
 */
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToFloat16,
  freshName,
  type Graph,
  indexGraph,
  intOf,
  lazyData,
  type Model,
  type Tensor,
} from '@shoal/onnx';
import { floatsOf } from './weights.js';

/** `TensorProto.DataType` */
const FLOAT32 = 1;
/** What a float16 can hold at most. */
const MOST = 65_504;

/** Changes `graph`: casts of such constants become constants of 32 bits under the casts' names. */
export function widenStored(graph: Graph): void {
  graph.nodes = graph.nodes.filter((node) => {
    const [stored = ''] = node.inputs;
    const [output = ''] = node.outputs;
    const wide =
      node.op === 'Cast' && intOf(node, 'to', 0) === FLOAT32 ? widened(graph.initializers.get(stored)) : undefined;
    if (wide === undefined) return true;
    graph.initializers.set(output, wide);
    return false;
  });
  const { consumers } = indexGraph(graph);
  for (const [name, { type }] of [...graph.initializers]) {
    const isHalf = type === 'float16' || type === 'bfloat16';
    if (isHalf && consumers(name).length === 0) graph.initializers.delete(name);
  }
}

function widened(tensor: Tensor | undefined): Tensor | undefined {
  if (tensor?.type !== 'float16' && tensor?.type !== 'bfloat16') return undefined;
  const { type, data } = tensor;
  const convert = type === 'float16' ? float16ToFloat32 : bfloat16ToFloat32;
  return { ...tensor, type: 'float32', data: lazyData(2 * data.byteLength, () => convert(halvesOf(data.bytes()))) };
}

function halvesOf(bytes: Uint8Array): Uint16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : new Uint8Array(bytes);
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
}

/**
 * Changes `model`: its constants of these names are rounded to float16 (to nearest, ties to even) and stored so, widened by a
 * Cast. One that holds a number float16 cannot hold, or no 32-bit floats, stays as it is.
 */
export function storeInHalves(model: Model, names: Iterable<string>): void {
  const { graph } = model;
  for (const name of names) {
    const tensor = graph.initializers.get(name);
    if (tensor?.type !== 'float32') continue;
    const floats = floatsOf(tensor);
    if (!floats.every((value) => Math.abs(value) <= MOST)) continue;
    const stored = freshName(graph, `${name}.float16`);
    const halves = lazyData(2 * floats.length, () => Uint16Array.from(floatsOf(tensor), float32ToFloat16));
    graph.initializers.delete(name);
    graph.initializers.set(stored, { ...tensor, type: 'float16', data: halves });
    graph.nodes.unshift({
      name: `${stored}/Cast`,
      op: 'Cast',
      domain: '',
      inputs: [stored],
      outputs: [name],
      attributes: new Map([['to', { type: 'int', value: BigInt(FLOAT32) }]]),
      extra: [],
    });
  }
}
