/**
 * Student and teacher in one graph: the student answers every text, and the teacher those that the student is unsure of. Where it
 * is sure of all, nothing of the teacher runs. An output `escalated` [batch] tells which texts the teacher answered.
 *
 * Which those are depends on each text alone, to the last bit: a confidence that changed ever so little with the texts beside it would
 * give a text that is near the threshold another answer in other company.
 */
import { ShoalError } from '@shoal/contracts';
import { ESCALATED, logitsOutput, type Model, type ScoreFunction } from '@shoal/models';
import {
  type Attribute,
  type Dim,
  type Graph,
  GraphBuilder,
  loadModel,
  type Node,
  type Model as OnnxModel,
  removeUnused,
  type Value,
} from '@shoal/onnx';
import { addUnsure } from './confidence.js';
import type { Head } from './fit-head.js';
import { addHead } from './head-graph.js';

/** From here on, operators take axes as the student's graph gives them. */
const LEAST_OPSET = 13;
const LEAST_IR = 7;
/** `TensorProto.DataType` */
const FLOAT32 = 1;
const INT64 = 7;

/** Before the teacher's names. */
const PREFIX = 'teacher/';

/**
 * @param path of the teacher's ONNX file, which has to stay as it is until the model is saved
 * @param threshold of confidence, from 0 (never the teacher) to above 1 (always)
 * @throws ShoalError `model_invalid` where the teacher's graph is too old
 */
export function cascadeGraph(
  original: Model,
  path: string,
  head: Head,
  link: ScoreFunction,
  threshold: number,
): OnnxModel {
  const teacher = loadModel(path);
  const opset = teacher.opsets.get('') ?? 0;
  if (opset < LEAST_OPSET) {
    const message = `its graph is of operator set ${opset}: a cascade takes ${LEAST_OPSET} and later; export it again`;
    throw new ShoalError('model_invalid', `${original.name}: ${message}`);
  }
  const { name, type } = logitsOutput(original);
  teacher.graph.outputs = teacher.graph.outputs.filter((output) => output.name === name);
  removeUnused(teacher.graph);
  const whole: OnnxModel = {
    irVersion: Math.max(LEAST_IR, teacher.irVersion),
    producer: 'shoal',
    opsets: new Map(teacher.opsets),
    metadata: new Map(teacher.metadata),
    graph: emptyGraph('cascade'),
    extra: teacher.extra,
  };
  const g = new GraphBuilder(whole);
  const { shape: given } = teacher.graph.inputs.find((input) => input.name === 'input_ids') ?? {};
  const own = addHead(g, original, head, { shape: given ?? undefined, exact: true });
  for (const input of teacher.graph.inputs) {
    const there = whole.graph.inputs.some((other) => other.name === input.name);
    if (!there && !teacher.graph.initializers.has(input.name)) whole.graph.inputs.push(input);
  }
  const unsure = addUnsure(g, link, own, threshold);
  // Flat, and so without a name for its one dimension: which rows go on is nothing that rows tell each other.
  const flat = g.op('Reshape', [unsure, g.ints([-1])]);
  const count = g.op('ReduceSum', [g.op('Cast', [flat], { to: INT64 }), g.ints([0])], { keepdims: 0 });
  const shape = ['batch', head.bias.length];
  const answer = g.op('If', [g.op('Greater', [count, g.scalar(0, 'int64')])], {
    then_branch: branch(askTeacher(g, whole, teacher, { flat, own, name, isFloat: type === 'float32' }), shape),
    else_branch: branch(identity(own), shape),
  });
  g.output(name, answer, 'float32', shape);
  g.output(ESCALATED, unsure, 'bool', ['batch']);
  return g.build();
}

/** A branch of an If: nodes, and the value that is its answer. */
interface Branch {
  readonly name: string;
  readonly nodes: Node[];
  readonly answer: Value;
}

interface Asked {
  /** [batch], bool. */
  readonly flat: Value;
  /** The student's logits, [batch, classes]. */
  readonly own: Value;
  /** Of the teacher's logits. */
  readonly name: string;
  readonly isFloat: boolean;
}

/** The teacher on the rows that are unsure, and its answers in their places. Constants are those of the whole graph. */
function askTeacher(
  g: GraphBuilder,
  whole: OnnxModel,
  teacher: OnnxModel,
  { flat, own, name, isFloat }: Asked,
): Branch {
  const graph = emptyGraph('teacher');
  const inner = new GraphBuilder({ ...whole, graph });
  const [all, column] = [g.ints([-1]), g.ints([1])];
  return inner.within('unsure', () => {
    const rows = inner.op('Reshape', [inner.op('NonZero', [flat]), all]);
    const inputs = new Map<string, Value>();
    for (const input of teacher.graph.inputs) {
      if (teacher.graph.initializers.has(input.name)) continue;
      inputs.set(input.name, inner.op('Gather', [input.name, rows], { axis: 0 }));
    }
    const nameOf = (value: Value) => (value === '' ? '' : (inputs.get(value) ?? PREFIX + value));
    graph.nodes.push(...teacher.graph.nodes.map((node) => renamed(node, nameOf)));
    for (const [value, tensor] of teacher.graph.initializers) whole.graph.initializers.set(nameOf(value), tensor);
    const theirs = isFloat ? nameOf(name) : inner.op('Cast', [nameOf(name)], { to: FLOAT32 });
    const answer = inner.op('ScatterND', [own, inner.op('Unsqueeze', [rows, column]), theirs]);
    return { name: graph.name, nodes: graph.nodes, answer };
  });
}

function identity(own: Value): Branch {
  const answer = 'sure/logits';
  const node: Node = {
    ...{ name: 'sure/Identity', op: 'Identity', domain: '' },
    ...{ inputs: [own], outputs: [answer], attributes: new Map(), extra: [] },
  };
  return { name: 'sure', nodes: [node], answer };
}

function branch({ name, nodes, answer }: Branch, shape: readonly Dim[]): Attribute {
  const outputs = [{ name: answer, type: 'float32', shape, extra: [] } as const];
  return { type: 'graph', value: { ...emptyGraph(name), nodes, outputs } };
}

function emptyGraph(name: string): Graph {
  return { name, nodes: [], inputs: [], outputs: [], valueInfos: [], initializers: new Map(), extra: [] };
}

/** The node with other names for its values, and for those of graphs within it. */
function renamed(node: Node, nameOf: (value: Value) => Value): Node {
  const attributes = new Map<string, Attribute>();
  for (const [key, attribute] of node.attributes) attributes.set(key, renamedAttribute(attribute, nameOf));
  const { inputs, outputs } = node;
  return { ...node, name: PREFIX + node.name, inputs: inputs.map(nameOf), outputs: outputs.map(nameOf), attributes };
}

function renamedAttribute(attribute: Attribute, nameOf: (value: Value) => Value): Attribute {
  if (attribute.type === 'graph') return { type: 'graph', value: renamedGraph(attribute.value, nameOf) };
  if (attribute.type !== 'graphs') return attribute;
  return { type: 'graphs', value: attribute.value.map((graph) => renamedGraph(graph, nameOf)) };
}

function renamedGraph(graph: Graph, nameOf: (value: Value) => Value): Graph {
  const named = <T extends { readonly name: string }>(values: readonly T[]) =>
    values.map((value) => ({ ...value, name: nameOf(value.name) }));
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renamed(node, nameOf)),
    inputs: named(graph.inputs),
    outputs: named(graph.outputs),
    valueInfos: [],
    initializers: new Map([...graph.initializers].map(([name, tensor]) => [nameOf(name), tensor])),
  };
}
