/** Reverse-mode differentiation of an ONNX graph into more ONNX nodes. */
import { graphsOf, intOf, type Model, type Node, type Value } from '@shoal/onnx';
import { operatorOf, unsupported } from '../errors.js';
import type { Shapes } from '../graph/shapes.js';
import { RULES, STOPS } from '../rules/table.js';
import { Tape } from './tape.js';

export interface GradientRequest {
  /** Where the way back begins: a value of the graph, and the name of the value that holds the loss's gradient by it. */
  readonly seeds: ReadonlyMap<string, Value>;
  /** What gradients are wanted by: inputs or constants of the graph, float32. */
  readonly by: readonly string[];
  /** Of the graph without its gradients, see `learnShapes`. Nodes it knows nothing of (those of losses) are left aside. */
  readonly shapes: Shapes;
}

/** `TensorProto.DataType`: float, and the others that are floats. */
const FLOATS = new Set([1, 10, 11, 16]);

/**
 * Appends the gradients of a loss to `model` (changed), as nodes below `training/gradient/`. Returns the name of each one's
 * value, which has the shape of what it is by; what the loss does not depend on is not among them.
 *
 * @throws ShoalError `model_invalid` naming the node and the operator that no gradient is known of
 */
export function differentiate(model: Model, { seeds, by, shapes }: GradientRequest): ReadonlyMap<string, Value> {
  const forward = model.graph.nodes.filter(({ outputs }) => outputs.some((output) => shapes.has(output)));
  const tape = new Tape(model, shapes, dependents(forward, by));
  return tape.g.within('training/gradient', () => {
    for (const [value, gradient] of seeds) tape.give(value, gradient, tape.shape(value));
    for (const node of forward.toReversed()) {
      const gradients = node.outputs.map((output) => tape.take(output));
      if (gradients.every((gradient) => gradient === undefined)) continue;
      const rule = RULES.get(operatorOf(node));
      if (rule === undefined) throw unsupported(node, 'no rule for the gradient of this operator');
      rule(tape, node, gradients);
    }
    const found = new Map<string, Value>();
    for (const name of by) {
      const gradient = tape.take(name);
      if (gradient !== undefined) found.set(name, gradient);
    }
    return found;
  });
}

/** Values that depend on `by` in a way that a gradient can follow, `by` included. */
function dependents(nodes: readonly Node[], by: readonly string[]): ReadonlySet<string> {
  const found = new Set(by);
  for (const node of nodes) {
    if (stops(node)) continue;
    if (!readsSome(node, found)) continue;
    for (const output of node.outputs) if (output !== '') found.add(output);
  }
  return found;
}

/** Within inner graphs too. */
function readsSome(node: Node, values: ReadonlySet<string>): boolean {
  return (
    node.inputs.some((input) => values.has(input)) ||
    graphsOf(node).some(
      ({ nodes, outputs }) =>
        nodes.some((inner) => readsSome(inner, values)) || outputs.some(({ name }) => values.has(name)),
    )
  );
}

function stops(node: Node): boolean {
  return STOPS.has(operatorOf(node)) || (node.op === 'Cast' && !FLOATS.has(intOf(node, 'to', 1)));
}
