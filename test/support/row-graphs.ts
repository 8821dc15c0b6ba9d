/** Small graphs whose rows influence each other, one way each, and graphs whose rows do not. */
import { type Dim, dataOf, float, GraphBuilder, type Model, serialiseModel, type Value } from '@shoal/onnx';

/** Of x, float32 of [rows, 4] unless `input` says otherwise. */
interface RowGraph {
  readonly input?: readonly Dim[];
  readonly type?: 'float32' | 'int64' | 'bool';
  /** Puts y out. */
  readonly build: (
    g: GraphBuilder,
    x: Value,
  ) => { value: Value; type?: 'float32' | 'int64' | 'bool'; shape?: readonly Dim[] };
}

const FLOAT = 1;

const floats = (g: GraphBuilder, name: string, dims: readonly number[], values?: (i: number) => number) => {
  const count = dims.reduce((product, size) => product * size, 1);
  const data = Float32Array.from({ length: count }, (_, i) => values?.(i) ?? Math.sin(i + 1));
  return g.constant(name, 'float32', dims, dataOf(data));
};
const columns = (g: GraphBuilder) => g.ints([0]);
/** The number of rows, as a float. */
const countOf = (g: GraphBuilder, x: Value) =>
  g.op('Cast', [g.op('Gather', [g.op('Shape', [x]), g.scalar(0, 'int64')])], { to: FLOAT });

function lstm(g: GraphBuilder, x: Value): Value {
  const [y] = g.ops('LSTM', [x, floats(g, 'W', [1, 12, 2]), floats(g, 'R', [1, 12, 3])], 1, { hidden_size: 3 });
  return y!;
}

export const COUPLED: Readonly<Record<string, RowGraph>> = {
  'places of what is not zero': {
    build: (g, x) => ({ value: g.op('Transpose', [g.op('NonZero', [x])]), type: 'int64', shape: ['found', 2] }),
  },
  'distance to the largest of all': {
    build: (g, x) => ({ value: g.op('Sub', [x, g.op('ReduceMax', [x], { keepdims: 0 })]) }),
  },
  'something else where any value is above 20': {
    build: (g, x) => {
      const above = g.op('Greater', [g.op('ReduceMax', [x], { keepdims: 0 }), g.scalar(20)]);
      return { value: g.op('Where', [above, g.op('Neg', [x]), x]) };
    },
  },
  'something else where any value is above 10^20': {
    build: (g, x) => {
      const flat = g.op('Reshape', [x, g.ints([-1])]);
      const above = g.op('Greater', [g.op('ReduceMax', [flat], { keepdims: 0 }), g.scalar(1e20)]);
      return { value: g.op('Where', [above, g.op('Neg', [x]), x]) };
    },
  },
  'zero where any value is NaN': {
    build: (g, x) => {
      const sum = g.op('ReduceSum', [g.op('Reshape', [x, g.ints([-1])])], { keepdims: 0 });
      return { value: g.op('Where', [g.op('IsNaN', [sum]), g.scalar(0), x]) };
    },
  },
  'an LSTM along time': { input: ['time', 1, 2], build: (g, x) => ({ value: lstm(g, x), shape: ['time', 1, 1, 3] }) },
  'batch normalisation over rows': {
    build: (g, x) => {
      const centred = g.op('Sub', [x, g.op('ReduceMean', [x], { axes: [0] })]);
      const variance = g.op('ReduceMean', [g.op('Mul', [centred, centred])], { axes: [0] });
      return { value: g.op('Div', [centred, g.op('Sqrt', [g.op('Add', [variance, g.scalar(1)])])]) };
    },
  },
  'batch normalisation in training': {
    build: (g, x) => {
      const same = (name: string) => floats(g, name, [4], () => 1);
      const inputs = [x, same('scale'), same('bias'), same('mean'), same('variance')];
      return { value: g.ops('BatchNormalization', inputs, 3, { training_mode: 1 })[0]! };
    },
  },
  'a cumulative sum over rows': { build: (g, x) => ({ value: g.op('CumSum', [x, g.scalar(0, 'int64')]) }) },
  'a maximum over rows of any width': {
    input: ['rows', 'width'],
    build: (g, x) => ({ value: g.op('Sub', [x, g.op('ReduceMax', [x], { axes: [0] })]) }),
  },
  'softmax over rows': { build: (g, x) => ({ value: g.op('Softmax', [x], { axis: 0 }) }) },
  'sorted rows': {
    build: (g, x) => {
      const rows = g.op('Slice', [g.op('Shape', [x]), g.ints([0]), g.ints([1])]);
      return { value: g.ops('TopK', [x, rows], 2, { axis: 0 })[0]! };
    },
  },
  'the best row of each column': {
    build: (g, x) => ({ value: g.op('ArgMax', [x], { axis: 0, keepdims: 0 }), type: 'int64', shape: ['n'] }),
  },
  'rows in reverse': {
    build: (g, x) => ({ value: g.op('Slice', [x, g.ints([-1]), g.ints([-1000]), g.ints([0]), g.ints([-1])]) }),
  },
  'the first row beside each': {
    build: (g, x) => ({ value: g.op('Sub', [x, g.op('Gather', [x, columns(g)])]) }),
  },
  'likeness of rows to each other': {
    build: (g, x) => {
      const products = g.op('MatMul', [x, g.op('Transpose', [x], { perm: [1, 0] })]);
      return { value: g.op('ReduceSum', [products, g.ints([1])]), shape: ['rows', 1] };
    },
  },
  'divided by the number of rows': { build: (g, x) => ({ value: g.op('Div', [x, countOf(g, x)]) }) },
  'something else beyond six rows': {
    build: (g, x) => ({ value: g.op('Where', [g.op('Greater', [countOf(g, x), g.scalar(6)]), g.op('Neg', [x]), x]) }),
  },
  'the number of each row': {
    build: (g, x) => {
      const numbers = g.op('Range', [g.scalar(0), countOf(g, x), g.scalar(1)]);
      return { value: g.op('Add', [x, g.op('Unsqueeze', [numbers, g.ints([1])])]) };
    },
  },
  'every row twice': {
    build: (g, x) => ({ value: g.op('Concat', [x, x], { axis: 0 }), shape: ['more', 4] }),
  },
  'the row before': {
    build: (g, x) => {
      const padded = g.op('Pad', [x, g.ints([1, 0, 0, 0])]);
      return { value: g.op('Add', [x, g.op('Slice', [padded, g.ints([0]), g.ints([-1]), g.ints([0])])]) };
    },
  },
  'distinct values': {
    build: (g, x) => ({ value: g.ops('Unique', [x], 1)[0]!, shape: ['found'] }),
  },
  'one range for all in 8 bits': {
    build: (g, x) => ({ value: g.op('DequantizeLinear', g.ops('DynamicQuantizeLinear', [x], 3)) }),
  },
  noise: { build: (g, x) => ({ value: g.op('Add', [x, g.op('RandomNormalLike', [x])]) }) },
  'columns as rows': {
    input: ['rows', 'rows'],
    build: (g, x) => ({ value: g.op('Transpose', [x], { perm: [1, 0] }) }),
  },
};

export const INDEPENDENT: Readonly<Record<string, RowGraph>> = {
  'a linear layer with softmax': {
    build: (g, x) => {
      const hidden = g.op('Gemm', [x, floats(g, 'W', [4, 6]), floats(g, 'b', [6])]);
      return { value: g.op('Softmax', [g.op('Relu', [hidden])], { axis: -1 }), shape: ['rows', 6] };
    },
  },
  'a mean of any width': {
    input: ['rows', 'width'],
    build: (g, x) => ({ value: g.op('ReduceMean', [x], { axes: [1] }), shape: ['rows', 1] }),
  },
  'layer normalisation': {
    build: (g, x) => ({ value: g.op('LayerNormalization', [x, floats(g, 's', [4])], { epsilon: float(1e-5) }) }),
  },
  'the best column of each row': {
    build: (g, x) => ({ value: g.op('ArgMax', [x], { axis: 1, keepdims: 0 }), type: 'int64', shape: ['rows'] }),
  },
  'an embedding table': {
    type: 'int64',
    input: ['rows', 'tokens'],
    build: (g, x) => ({ value: g.op('Gather', [floats(g, 'table', [10, 3]), x]), shape: ['rows', 'tokens', 3] }),
  },
  'a convolution': {
    input: ['rows', 1, 'height', 'width'],
    build: (g, x) => {
      const value = g.op('Conv', [x, floats(g, 'W', [2, 1, 3, 3])], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
      return { value, shape: ['rows', 2, 'height', 'width'] };
    },
  },
  'an LSTM along the second axis': {
    input: ['rows', 'time', 2],
    build: (g, x) => {
      const y = lstm(g, g.op('Transpose', [x], { perm: [1, 0, 2] }));
      const steps = g.op('Squeeze', [y, g.ints([1])]);
      return { value: g.op('Transpose', [steps], { perm: [1, 0, 2] }), shape: ['rows', 'time', 3] };
    },
  },
  'a cumulative sum along the row': { build: (g, x) => ({ value: g.op('CumSum', [x, g.scalar(1, 'int64')]) }) },
  'attention of a row to itself': {
    input: ['rows', 'tokens', 4],
    build: (g, x) => {
      const scores = g.op('Softmax', [g.op('MatMul', [x, g.op('Transpose', [x], { perm: [0, 2, 1] })])], { axis: -1 });
      return { value: g.op('MatMul', [scores, x]), shape: ['rows', 'tokens', 4] };
    },
  },
  'the opposite of yes and no': { type: 'bool', build: (g, x) => ({ value: g.op('Not', [x]), type: 'bool' }) },
};

/** `hidden`: behind an operator that no one can see through without running the graph. */
export function rowGraph(
  { input = ['rows', 4], type = 'float32', build }: RowGraph,
  { hidden = false }: { readonly hidden?: boolean } = {},
): Uint8Array {
  const g = new GraphBuilder({ name: 'rows', opset: 17, irVersion: 8 });
  const x = g.input('x', type, input);
  const seen = hidden ? g.op('Reshape', [x, g.op('Shape', [x])]) : x;
  const { value, type: made = 'float32', shape = input } = build(g, seen);
  g.output('y', value, made, shape);
  const model: Model = g.build();
  return serialiseModel(model);
}

/** Of the mean vector of each text and the mask, what a small encoder puts out. */
type TextGraph = (g: GraphBuilder, vectors: Value, mask: Value) => Value;

/** Vectors of tokens, masked: [batch, sequence, 4]. */
const masked: TextGraph = (g, vectors, mask) => g.op('Mul', [vectors, g.op('Unsqueeze', [mask, g.ints([2])])]);
const sums: TextGraph = (g, vectors, mask) =>
  g.op('ReduceSum', [masked(g, vectors, mask), g.ints([1])], { keepdims: 0 });

export const TEXT_GRAPHS = {
  /** The mean of what is text. */
  masked: (g, vectors, mask) => g.op('Div', [sums(g, vectors, mask), g.op('ReduceSum', [mask, g.ints([1])])]),
  /** The mean of everything, padding included. */
  unmasked: (g, vectors) => g.op('ReduceMean', [vectors], { axes: [1], keepdims: 0 }),
  /** A maximum over the batch. */
  coupled: (g, vectors, mask) => {
    const own = sums(g, vectors, mask);
    return g.op('Sub', [own, g.op('ReduceMax', [own], { axes: [0] })]);
  },
} satisfies Readonly<Record<string, TextGraph>>;

/** input_ids and attention_mask → logits of [batch, 4]. */
export function textGraph(kind: keyof typeof TEXT_GRAPHS, seed = 1): Uint8Array {
  const g = new GraphBuilder({ name: 'texts', opset: 17, irVersion: 8 });
  const [ids, given] = ['input_ids', 'attention_mask'].map((name) => g.input(name, 'int64', ['batch', 'sequence']));
  const vectors = g.op('Gather', [floats(g, 'table', [50, 4], (i) => Math.sin(seed * i)), ids!]);
  const mask = g.op('Cast', [given!], { to: FLOAT });
  g.output('logits', TEXT_GRAPHS[kind](g, vectors, mask), 'float32', ['batch', 4]);
  return serialiseModel(g.build());
}
