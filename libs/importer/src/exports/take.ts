/** An ONNX file of another tool, as Shoal serves it: the same graph, with what ONNX Runtime's CPU needs changed. */
import { type Graph, graphsOf, intOf, isHalf, loadModel, type Model, widenModel } from '@shoal/onnx';

/** MatMulNBits on 8-bit activations: the only level with fast kernels on x64; exporters leave it unset. */
const ACCURACY_LEVEL = 4;

export interface TakenExport {
  readonly model: Model;
  /** What was changed, in words. */
  readonly changes: readonly string[];
}

/**
 * Loads `path`; 16-bit floats become 32-bit ones, exactly, unless `keepHalves`.
 *
 * @throws ShoalError `model_invalid` for a file that is no ONNX model or refers to anything outside its folder
 */
export function takeExport(path: string, keepHalves: boolean): TakenExport {
  const model = loadModel(path);
  const changes: string[] = [];
  if (!keepHalves && isHalf(model)) {
    widenModel(model);
    changes.push('its 16-bit floats became 32-bit ones, exactly, as CPUs compute');
  }
  const raised = raiseAccuracyLevels(model.graph);
  if (raised > 0) changes.push(`accuracy_level of ${raised} MatMulNBits was set to ${ACCURACY_LEVEL}`);
  return { model, changes };
}

function raiseAccuracyLevels(graph: Graph): number {
  let raised = 0;
  for (const node of graph.nodes) {
    for (const inner of graphsOf(node)) raised += raiseAccuracyLevels(inner);
    if (node.op !== 'MatMulNBits' || node.domain !== 'com.microsoft' || intOf(node, 'accuracy_level', 0) !== 0)
      continue;
    node.attributes.set('accuracy_level', { type: 'int', value: BigInt(ACCURACY_LEVEL) });
    raised += 1;
  }
  return raised;
}
