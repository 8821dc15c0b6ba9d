/** Trained constants of a graph as the tensors of a checkpoint again, as narrow as the original's are stored. */
import { Checkpoint, checkpointOf, floatsOf, type WeightMap } from '@shoal/importer';
import { float16ToFloat32, float32ToFloat16, lazyData, loadModel, type Model, type TensorData } from '@shoal/onnx';
import type { Weights } from '@shoal/training';

/** What a float16 can hold at most. */
const MOST = 65_504;

/**
 * The checkpoint of `graph`, which `map` is of and whose weights are 32-bit floats, with those of `trained` in place of its own. They are
 * read at each use, so that it changes as training goes on. `halves`: each tensor is rounded to float16, to nearest, unless it holds
 * a number that is too large for that.
 */
export function trainedCheckpoint(map: WeightMap, graph: Model, trained: Weights, halves: boolean): Checkpoint {
  const { initializers } = graph.graph;
  const checkpoint = checkpointOf(map, (name) => trained.get(name)?.data ?? floatsOf(initializers.get(name)!.data));
  if (!halves) return checkpoint;
  const tensors = [...checkpoint.stored].map(([name, tensor]): [string, typeof tensor] => {
    return [name, 'data' in tensor ? { ...tensor, data: rounded(tensor.data) } : tensor];
  });
  return new Checkpoint(new Map(tensors));
}

function rounded(data: TensorData): TensorData {
  return lazyData(data.byteLength, () => {
    const floats = floatsOf(data);
    if (!floats.every((value) => Math.abs(value) <= MOST)) return floats;
    return float16ToFloat32(Uint16Array.from(floats, float32ToFloat16));
  });
}

/** Whether most weights of a graph are stored in 16 bits, as those of a checkpoint in 16 bits are. */
export function isStoredInHalves(path: string): boolean {
  let [halves, all] = [0, 0];
  for (const { type, dims } of loadModel(path).graph.initializers.values()) {
    const count = dims.reduce((product, dim) => product * dim, 1);
    all += count;
    if (type === 'float16' || type === 'bfloat16') halves += count;
  }
  return 2 * halves > all;
}
