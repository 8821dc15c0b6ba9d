/**
 * A BERT encoder as exporters write it, with random weights: one node per PyTorch operation (LayerNorm and GELU are spelt
 * out), so that ONNX Runtime has the same fusions to find as in a downloaded model.
 */
import type { Graph, Initializer, Node } from './onnx-file.js';

export interface BertShape {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly inner: number;
  readonly vocabulary: number;
  readonly positions: number;
}

/** BERT's own spread of fresh weights is 0.02; more keeps the activations of an untrained model away from denormals. */
const WEIGHT_SPREAD = 0.05;

/** Inputs input_ids, attention_mask, token_type_ids [batch, sequence]; output last_hidden_state [batch, sequence, width]. */
export function bertGraph(shape: BertShape, random: () => number): Graph {
  const graph = new GraphBuilder(random);
  const mask = attentionMask(graph);
  let hidden = embeddings(graph, shape);
  for (let layer = 0; layer < shape.layers; layer++) hidden = encoderLayer(graph, shape, hidden, mask, `layer${layer}`);
  graph.add('Identity', [hidden], {}, 'last_hidden_state');
  const ids = ['input_ids', 'attention_mask', 'token_type_ids'];
  return {
    nodes: graph.nodes,
    initializers: graph.initializers,
    inputs: ids.map((name) => ({ name, type: 'int64', shape: ['batch', 'sequence'] })),
    outputs: [{ name: 'last_hidden_state', type: 'float32', shape: ['batch', 'sequence', shape.width] }],
    opset: 14,
  };
}

/** 0 where a token is, −10000 where there is padding: [batch, 1, 1, sequence]. */
function attentionMask(graph: GraphBuilder): string {
  const FLOAT32 = 1;
  const rows = graph.add('Unsqueeze', ['attention_mask', graph.integers('axis1', [1])]);
  const heads = graph.add('Unsqueeze', [rows, graph.integers('axis2', [2])]);
  const kept = graph.add('Cast', [heads], { to: FLOAT32 });
  const padding = graph.add('Sub', [graph.scalar('one', 1), kept]);
  return graph.add('Mul', [padding, graph.scalar('masked', -10_000)]);
}

function embeddings(graph: GraphBuilder, { vocabulary, positions, width }: BertShape): string {
  const words = graph.add('Gather', [graph.weights('words', vocabulary, width), 'input_ids']);
  const segments = graph.add('Gather', [graph.weights('segments', 2, width), 'token_type_ids']);
  const shape = graph.add('Shape', ['input_ids']);
  const length = graph.add('Gather', [shape, graph.integers('second', [1])]);
  const zero = graph.integers('zero', [0]);
  const numbers = graph.integers(
    'positionIds',
    Array.from({ length: positions }, (_, i) => i),
    [1, positions],
  );
  const ids = graph.add('Slice', [numbers, zero, length, graph.integers('axis1', [1])]);
  const places = graph.add('Gather', [graph.weights('positions', positions, width), ids]);
  const typed = graph.add('Add', [words, segments]);
  return layerNorm(graph, graph.add('Add', [typed, places]), width, 'embeddings.norm');
}

function encoderLayer(graph: GraphBuilder, shape: BertShape, input: string, mask: string, name: string): string {
  const { width, inner } = shape;
  const attended = attention(graph, shape, input, mask, `${name}.attention`);
  const first = layerNorm(graph, graph.add('Add', [attended, input]), width, `${name}.attention.norm`);
  const grown = gelu(graph, dense(graph, first, width, inner, `${name}.grow`));
  const shrunk = dense(graph, grown, inner, width, `${name}.shrink`);
  return layerNorm(graph, graph.add('Add', [shrunk, first]), width, `${name}.norm`);
}

function attention(
  graph: GraphBuilder,
  { width, heads }: BertShape,
  input: string,
  mask: string,
  name: string,
): string {
  const size = width / heads;
  const split = graph.integers('split', [0, 0, heads, size]);
  const project = (part: string, perm: number[]) => {
    const projected = dense(graph, input, width, width, `${name}.${part}`);
    return graph.add('Transpose', [graph.add('Reshape', [projected, split])], { perm });
  };
  const query = project('query', [0, 2, 1, 3]);
  const key = project('key', [0, 2, 3, 1]);
  const value = project('value', [0, 2, 1, 3]);
  const products = graph.add('MatMul', [query, key]);
  const scaled = graph.add('Div', [products, graph.scalar('scale', Math.sqrt(size))]);
  const shares = graph.add('Softmax', [graph.add('Add', [scaled, mask])], { axis: -1 });
  const mixed = graph.add('Transpose', [graph.add('MatMul', [shares, value])], { perm: [0, 2, 1, 3] });
  const joined = graph.add('Reshape', [mixed, graph.integers('join', [0, 0, width])]);
  return dense(graph, joined, width, width, `${name}.out`);
}

function dense(graph: GraphBuilder, input: string, from: number, to: number, name: string): string {
  const product = graph.add('MatMul', [input, graph.weights(`${name}.weight`, from, to)]);
  return graph.add('Add', [graph.weights(`${name}.bias`, to), product]);
}

function layerNorm(graph: GraphBuilder, input: string, width: number, name: string): string {
  const mean = graph.add('ReduceMean', [input], { axes: [-1] });
  const centred = graph.add('Sub', [input, mean]);
  const squares = graph.add('Pow', [centred, graph.scalar('two', 2)]);
  const variance = graph.add('ReduceMean', [squares], { axes: [-1] });
  const deviation = graph.add('Sqrt', [graph.add('Add', [variance, graph.scalar('epsilon', 1e-12)])]);
  const scaled = graph.add('Mul', [graph.add('Div', [centred, deviation]), graph.constant(`${name}.gain`, width, 1)]);
  return graph.add('Add', [scaled, graph.constant(`${name}.bias`, width, 0)]);
}

/** x · (1 + erf(x / √2)) / 2 */
function gelu(graph: GraphBuilder, input: string): string {
  const erf = graph.add('Erf', [graph.add('Div', [input, graph.scalar('root2', Math.SQRT2)])]);
  const product = graph.add('Mul', [input, graph.add('Add', [erf, graph.scalar('one', 1)])]);
  return graph.add('Mul', [product, graph.scalar('half', 0.5)]);
}

/** Collects nodes and initializers; names what nobody else names. */
class GraphBuilder {
  readonly nodes: Node[] = [];
  readonly initializers: Record<string, Initializer> = {};
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  add(op: string, inputs: readonly string[], attributes: Node['attributes'] = {}, output = ''): string {
    const name = output || `${op}_${this.nodes.length}`;
    this.nodes.push({ op, inputs, output: name, attributes });
    return name;
  }

  /** Uniform in ±√3 · spread, which has that standard deviation. */
  weights(name: string, ...dims: number[]): string {
    const size = dims.reduce((product, dim) => product * dim, 1);
    const reach = Math.sqrt(3) * WEIGHT_SPREAD;
    return this.#initializer(name, { dims, data: Float32Array.from({ length: size }, () => reach * this.#uniform()) });
  }

  constant(name: string, length: number, value: number): string {
    return this.#initializer(name, { dims: [length], data: new Float32Array(length).fill(value) });
  }

  scalar(name: string, value: number): string {
    return this.#initializer(name, { dims: [], data: Float32Array.of(value) });
  }

  integers(name: string, values: readonly number[], dims: readonly number[] = [values.length]): string {
    return this.#initializer(name, { dims, data: BigInt64Array.from(values, BigInt) });
  }

  #initializer(name: string, initializer: Initializer): string {
    this.initializers[name] ??= initializer;
    return name;
  }

  #uniform(): number {
    return 2 * this.#random() - 1;
  }
}
