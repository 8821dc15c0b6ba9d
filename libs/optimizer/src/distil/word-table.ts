/** The vectors that a model reads its tokens as, taken from its graph. */
import { bfloat16ToFloat32, float16ToFloat32, type GraphIndex, indexGraph, loadModel, type Tensor } from '@shoal/onnx';

export interface WordTable {
  /** [vocabulary, width] */
  readonly values: Float32Array;
  readonly width: number;
}

/** Null where the graph has no table of floats with a row for each token. @throws ShoalError `model_invalid` */
export function wordTable(path: string, vocabulary: number): WordTable | null {
  const { graph } = loadModel(path);
  const index = indexGraph(graph);
  for (const [name, tensor] of graph.initializers) {
    const [rows, width] = tensor.dims;
    if (tensor.dims.length !== 2 || rows !== vocabulary || width === undefined || !isLookedUp(index, name)) continue;
    const values = floatsOf(tensor);
    if (values !== null) return { values, width };
  }
  return null;
}

/** Read by ids, widened before at most. */
function isLookedUp(index: GraphIndex, name: string): boolean {
  return index.consumers(name).some(({ op, inputs, outputs }) => {
    if (op === 'Gather') return inputs[0] === name;
    return op === 'Cast' && isLookedUp(index, outputs[0] ?? '');
  });
}

function floatsOf({ type, data }: Tensor): Float32Array | null {
  // A copy, since elements have to begin where their size lets them.
  const bytes = data.bytes().slice();
  if (type === 'float32') return new Float32Array(bytes.buffer);
  if (type === 'float16') return float16ToFloat32(new Uint16Array(bytes.buffer));
  return type === 'bfloat16' ? bfloat16ToFloat32(new Uint16Array(bytes.buffer)) : null;
}
