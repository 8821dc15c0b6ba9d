/**
 * A BERT encoder as exporters write it, with random weights: one node per PyTorch operation (LayerNorm and GELU are spelt
 * out), so that ONNX Runtime has the same fusions to find as in a downloaded model.
 */
import { dataOf, GraphBuilder, type Model, type Value } from '@shoal/onnx';

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
export function bertGraph(shape: BertShape, random: () => number): Model {
  const graph = new GraphBuilder({ name: 'bert', opset: 14, irVersion: 8 });
  const bert: Bert = { graph, shape, random };
  const [ids = '', attended = '', types = ''] = ['input_ids', 'attention_mask', 'token_type_ids'].map((name) =>
    graph.input(name, 'int64', ['batch', 'sequence']),
  );
  const mask = attentionMask(graph, attended);
  let hidden = embeddings(bert, ids, types);
  for (let layer = 0; layer < shape.layers; layer++) hidden = encoderLayer(bert, hidden, mask, `layer${layer}`);
  graph.output('last_hidden_state', hidden, 'float32', ['batch', 'sequence', shape.width]);
  return graph.build();
}

interface Bert {
  readonly graph: GraphBuilder;
  readonly shape: BertShape;
  readonly random: () => number;
}

/** `TensorProto.DataType` */
const FLOAT32 = 1;

/** 0 where a token is, −10000 where there is padding: [batch, 1, 1, sequence]. */
function attentionMask(graph: GraphBuilder, attended: Value): Value {
  const rows = graph.op('Unsqueeze', [attended, graph.ints([1])]);
  const kept = graph.op('Cast', [graph.op('Unsqueeze', [rows, graph.ints([2])])], { to: FLOAT32 });
  return graph.op('Mul', [graph.op('Sub', [graph.scalar(1), kept]), graph.scalar(-10_000)]);
}

function embeddings(bert: Bert, ids: Value, types: Value): Value {
  const { graph } = bert;
  const { vocabulary, positions, width } = bert.shape;
  const words = graph.op('Gather', [weights(bert, 'words', vocabulary, width), ids]);
  const segments = graph.op('Gather', [weights(bert, 'segments', 2, width), types]);
  const length = graph.op('Gather', [graph.op('Shape', [ids]), graph.ints([1])]);
  const range = Array.from({ length: positions }, (_, i) => i);
  const numbers = graph.op('Slice', [graph.ints(range, [1, positions]), graph.ints([0]), length, graph.ints([1])]);
  const places = graph.op('Gather', [weights(bert, 'positions', positions, width), numbers]);
  return layerNorm(bert, graph.op('Add', [graph.op('Add', [words, segments]), places]), 'embeddings.norm');
}

function encoderLayer(bert: Bert, input: Value, mask: Value, name: string): Value {
  const { graph } = bert;
  const { width, inner } = bert.shape;
  const attended = attention(bert, input, mask, `${name}.attention`);
  const first = layerNorm(bert, graph.op('Add', [attended, input]), `${name}.attention.norm`);
  const grown = gelu(graph, dense(bert, first, width, inner, `${name}.grow`));
  const shrunk = dense(bert, grown, inner, width, `${name}.shrink`);
  return layerNorm(bert, graph.op('Add', [shrunk, first]), `${name}.norm`);
}

function attention(bert: Bert, input: Value, mask: Value, name: string): Value {
  const { graph } = bert;
  const { width, heads } = bert.shape;
  const size = width / heads;
  const project = (part: string, perm: number[]) => {
    const projected = dense(bert, input, width, width, `${name}.${part}`);
    return graph.op('Transpose', [graph.op('Reshape', [projected, graph.ints([0, 0, heads, size])])], { perm });
  };
  const query = project('query', [0, 2, 1, 3]);
  const key = project('key', [0, 2, 3, 1]);
  const value = project('value', [0, 2, 1, 3]);
  const scaled = graph.op('Div', [graph.op('MatMul', [query, key]), graph.scalar(Math.sqrt(size))]);
  const shares = graph.op('Softmax', [graph.op('Add', [scaled, mask])], { axis: -1 });
  const mixed = graph.op('Transpose', [graph.op('MatMul', [shares, value])], { perm: [0, 2, 1, 3] });
  return dense(bert, graph.op('Reshape', [mixed, graph.ints([0, 0, width])]), width, width, `${name}.out`);
}

function dense(bert: Bert, input: Value, from: number, to: number, name: string): Value {
  const product = bert.graph.op('MatMul', [input, weights(bert, `${name}.weight`, from, to)]);
  return bert.graph.op('Add', [weights(bert, `${name}.bias`, to), product]);
}

function layerNorm({ graph, shape: { width } }: Bert, input: Value, name: string): Value {
  const mean = graph.op('ReduceMean', [input], { axes: [-1] });
  const centred = graph.op('Sub', [input, mean]);
  const squares = graph.op('Pow', [centred, graph.scalar(2)]);
  const variance = graph.op('ReduceMean', [squares], { axes: [-1] });
  const deviation = graph.op('Sqrt', [graph.op('Add', [variance, graph.scalar(1e-12)])]);
  const filled = (part: string, value: number) =>
    graph.constant(`${name}.${part}`, 'float32', [width], dataOf(new Float32Array(width).fill(value)));
  const scaled = graph.op('Mul', [graph.op('Div', [centred, deviation]), filled('gain', 1)]);
  return graph.op('Add', [scaled, filled('bias', 0)]);
}

/** x · (1 + erf(x / √2)) / 2 */
function gelu(graph: GraphBuilder, input: Value): Value {
  const erf = graph.op('Erf', [graph.op('Div', [input, graph.scalar(Math.SQRT2)])]);
  const product = graph.op('Mul', [input, graph.op('Add', [erf, graph.scalar(1)])]);
  return graph.op('Mul', [product, graph.scalar(0.5)]);
}

/** Uniform in ±√3 · spread, which has that standard deviation. */
function weights({ graph, random }: Bert, name: string, ...dims: number[]): Value {
  const size = dims.reduce((product, dim) => product * dim, 1);
  const reach = Math.sqrt(3) * WEIGHT_SPREAD;
  const values = Float32Array.from({ length: size }, () => reach * (2 * random() - 1));
  return graph.constant(name, 'float32', dims, dataOf(values));
}
