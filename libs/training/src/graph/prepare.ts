/** A model as training wants it: a copy that may be changed, in a form that rules can read. */
import { dataOf, type Graph, type Model, type Node, type Tensor } from '@shoal/onnx';
import { modernise } from './modernise.js';
import { widenStored } from './stored-halves.js';

/** Of the file format: that of the operators that gradients are written in. */
const IR_VERSION = 8;

/**
 * A copy whose weights are still those of `model`: constants in nodes (`Constant`) among the graph's constants, weights stored in
 * 16 bits widened, operators of versions that gradients can be written in.
 *
 * @throws ShoalError `model_invalid` where its operators are too old
 */
export function prepare(model: Model): Model {
  const copy = copyOf(model);
  liftConstants(copy.graph);
  widenStored(copy.graph);
  modernise(copy);
  return copy;
}

function copyOf(model: Model): Model {
  const { graph } = model;
  return {
    ...model,
    irVersion: Math.max(model.irVersion, IR_VERSION),
    opsets: new Map(model.opsets),
    metadata: new Map(model.metadata),
    graph: {
      ...graph,
      nodes: graph.nodes.map((node) => ({
        ...node,
        inputs: [...node.inputs],
        outputs: [...node.outputs],
        attributes: new Map(node.attributes),
      })),
      // Old files list constants among the inputs as well.
      inputs: graph.inputs.filter(({ name }) => !graph.initializers.has(name)),
      outputs: [...graph.outputs],
      valueInfos: [...graph.valueInfos],
      initializers: new Map(graph.initializers),
    },
  };
}

function liftConstants(graph: Graph): void {
  graph.nodes = graph.nodes.filter((node) => {
    const [output] = node.outputs;
    const literal = node.op === 'Constant' ? literalOf(node) : undefined;
    if (literal === undefined || output === undefined) return true;
    graph.initializers.set(output, literal);
    return false;
  });
}

/** Undefined for texts and sparse tensors, which no gradient goes through. */
function literalOf({ attributes }: Node): Tensor | undefined {
  for (const attribute of attributes.values()) {
    switch (attribute.type) {
      case 'tensor':
        return attribute.value;
      case 'float':
        return { type: 'float32', dims: [], data: dataOf(Float32Array.of(attribute.value)) };
      case 'int':
        return { type: 'int64', dims: [], data: dataOf(BigInt64Array.of(attribute.value)) };
      case 'floats': {
        const values = Float32Array.from(attribute.value);
        return { type: 'float32', dims: [values.length], data: dataOf(values) };
      }
      case 'ints': {
        const values = BigInt64Array.from([...attribute.value]);
        return { type: 'int64', dims: [values.length], data: dataOf(values) };
      }
    }
  }
  return undefined;
}
