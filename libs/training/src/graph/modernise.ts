/** Graphs of older versions of ONNX's operators in one that gradients are written in. */
import { dataOf, freshName, type Graph, intsOf, type Model, type Node } from '@shoal/onnx';
import { untrainable } from '../errors.js';

/** Since 18 all reductions take their axes as an input. */
const WRITTEN_IN = 18;
/** Before 13, axes of Squeeze, Unsqueeze and ReduceSum were attributes, and Softmax had another meaning. */
const OLDEST = 13;

const REDUCTIONS = new Set([
  ...['ReduceL1', 'ReduceL2', 'ReduceLogSum', 'ReduceLogSumExp', 'ReduceMax', 'ReduceMean', 'ReduceMin'],
  ...['ReduceProd', 'ReduceSumSquare'],
]);

/** Changes `model`. What differs between 13 and 18 for operators that gradients go through is these two. */
export function modernise(model: Model): void {
  const domain = model.opsets.has('') ? '' : 'ai.onnx';
  const version = model.opsets.get(domain) ?? 0;
  if (version >= WRITTEN_IN) return;
  if (version < OLDEST) {
    throw untrainable(
      `the graph uses version ${version} of ONNX's operators, and gradients can be made from version ${OLDEST} on: export it anew (opset ${WRITTEN_IN} or later)`,
    );
  }
  for (const node of model.graph.nodes) {
    if (REDUCTIONS.has(node.op)) axesAsInput(model.graph, node);
    else if (node.op === 'Split' && node.inputs.length < 2) {
      node.attributes.set('num_outputs', { type: 'int', value: BigInt(node.outputs.length) });
    }
  }
  model.opsets.set(domain, WRITTEN_IN);
}

function axesAsInput(graph: Graph, node: Node): void {
  const axes = intsOf(node, 'axes');
  if (axes === undefined) return;
  const name = freshName(graph, `${node.outputs[0]}/axes`);
  graph.initializers.set(name, {
    type: 'int64',
    dims: [axes.length],
    data: dataOf(BigInt64Array.from(axes, BigInt)),
  });
  node.attributes.delete('axes');
  node.inputs = [node.inputs[0] ?? '', name];
}
