/**
 * Where the inputs of 8-bit products come from a LayerNormalization, bringing them near to each other takes no pass of its own:
 * the norm's gain and bias do it, those of a second norm where others read the first one too.
 */
import {
  dataOf,
  freshName,
  type Graph,
  indexGraph,
  type Model,
  type Node,
  removeUnused,
  type Tensor,
} from '@shoal/onnx';

/** Changes `model`: what multiplies a norm by `<name>.factors` and adds `<name>.shifts`, or does one of both, becomes a norm. */
export function foldIntoNorms(model: Model): Model {
  const { graph } = model;
  const { producer, consumers } = indexGraph(graph);
  const constantOf = (node: Node | undefined, op: string, part: string) => {
    const name = node?.op === op ? (node.inputs[1] ?? '') : '';
    return name.endsWith(part) ? vectorOf(graph.initializers.get(name)) : undefined;
  };
  const norms = new Map<Node, Node>();
  const gone = new Set<Node>();
  for (const node of graph.nodes) {
    const norm = producer(node.inputs[0] ?? '');
    if (norm?.op !== 'LayerNormalization') continue;
    const factors = constantOf(node, 'Mul', '.factors');
    const [next, ...others] = factors === undefined ? [node] : consumers(node.outputs[0]!);
    const shifts = others.length === 0 ? constantOf(next, 'Add', '.shifts') : undefined;
    if (factors === undefined && shifts === undefined) continue;
    const last = shifts === undefined ? node : next!;
    if (last !== node) gone.add(last);
    const name = node.inputs[1]!.replace(/\.\w+$/, '');
    norms.set(node, {
      ...norm,
      name: `${name}/${norm.op}`,
      inputs: inputsOf(graph, norm, name, { factors, shifts }),
      outputs: [last.outputs[0]!],
    });
  }
  graph.nodes = graph.nodes.flatMap((node) => (gone.has(node) ? [] : [norms.get(node) ?? node]));
  removeUnused(graph);
  return model;
}

interface Parts {
  readonly factors: Float32Array | undefined;
  readonly shifts: Float32Array | undefined;
}

/** Those of a norm whose output is that of `norm`, multiplied and shifted. */
function inputsOf(graph: Graph, norm: Node, name: string, { factors, shifts }: Parts): string[] {
  const [x = '', gain = '', bias = ''] = norm.inputs;
  const scaled = (constant: string) =>
    vectorOf(graph.initializers.get(constant))!.map((value, n) => value * (factors?.[n] ?? 1));
  const biases = bias === '' ? shifts : scaled(bias).map((value, n) => value + (shifts?.[n] ?? 0));
  const add = (part: string, values: Float32Array): string => {
    const own = freshName(graph, `${name}.${part}`);
    graph.initializers.set(own, { type: 'float32', dims: [values.length], data: dataOf(values) });
    return own;
  };
  return [x, add('norm.weight', scaled(gain)), ...(biases === undefined ? [] : [add('norm.bias', biases)])];
}

function vectorOf(tensor: Tensor | undefined): Float32Array | undefined {
  if (tensor?.type !== 'float32' || tensor.dims.length !== 1) return undefined;
  // A copy: bytes of a file may begin anywhere.
  return new Float32Array(new Uint8Array(tensor.data.bytes()).buffer);
}
