/** Whether a graph has a kernel that ONNX Runtime computes in two ways on a CPU. */
import { type Graph, graphsOf, loadModel } from '@shoal/onnx';

/** @throws ShoalError `model_invalid` */
export function readsTwoWays(path: string): boolean {
  return holds(loadModel(path).graph);
}

function holds({ nodes }: Graph): boolean {
  return nodes.some((node) => node.op === 'GroupQueryAttention' || graphsOf(node).some(holds));
}
