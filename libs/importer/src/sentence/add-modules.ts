/** Pooling and the modules behind it as part of a graph: from token vectors to `sentence_embedding`. */
import { dataOf, float, GraphBuilder, type Model, type Value } from '@shoal/onnx';
import { BOOL, FLOAT32, HIDDEN, INT32 } from '../encoder/graph.js';
import { invalid } from '../invalid.js';
import { float32 } from '../precision/float32.js';
import { Weights } from '../weights.js';
import type { DenseActivation, SentenceModules, SentenceStep } from './modules.js';

/** What sentence-transformers' Normalize divides by at least, as PyTorch's `normalize` does. */
const LEAST_LENGTH = 1e-12;
/** Of PyTorch's LayerNorm. */
const EPSILON = 1e-5;

/**
 * Changes `model`, whose output is token vectors [batch, sequence, width] and which has an input `attention_mask`: the output
 * becomes `sentence_embedding` [batch, dimensions]. Where the prompt is not pooled, there is an input `pooling_mask` beside the
 * attention mask: 1 where a token is pooled. Weights stay 32-bit floats whatever the precision, since nothing after them evens
 * out errors.
 *
 * @throws ShoalError `model_invalid` where widths do not fit, or a tensor is missing or left over
 */
export function addSentenceModules(model: Model, { pooling, includePrompt, steps }: SentenceModules): Model {
  const { graph } = model;
  const [tokens] = graph.outputs;
  const width = tokens?.shape?.[2];
  if (tokens === undefined || typeof width !== 'number') throw invalid('the graph gives no token vectors to pool');
  if (!graph.inputs.some(({ name }) => name === 'attention_mask')) throw invalid('the graph takes no attention_mask');
  graph.outputs = [];
  const g = new GraphBuilder(model);
  return g.within('sentence', () => {
    const mask = includePrompt ? 'attention_mask' : g.input('pooling_mask', 'int64', ['batch', 'sequence']);
    const states: TokenStates = { g, x: tokens.name, mask, kept: keptOf(g, mask) };
    const pooled = pooling.map((mode) => POOL[mode](states));
    let x = pooled.length === 1 ? pooled[0]! : g.op('Concat', pooled, { axis: -1 });
    let size = width * pooled.length;
    for (const step of steps) {
      const given = step.kind === 'dense' ? step.inputs : step.kind === 'norm' ? step.width : size;
      if (given !== size) {
        const path = step.kind === 'normalize' ? '' : step.path;
        throw invalid(`${path}/config.json: ${given} numbers go in, but what is before it gives ${size}`);
      }
      x = addStep(g, x, step);
      if (step.kind === 'dense') size = step.outputs;
    }
    g.output('sentence_embedding', x, 'float32', ['batch', size]);
    return g.build();
  });
}

interface TokenStates {
  readonly g: GraphBuilder;
  /** [batch, sequence, width] */
  readonly x: Value;
  /** [batch, sequence], int64: 1 where a token is pooled. */
  readonly mask: Value;
  /** The same as floats: [batch, sequence, 1]. */
  readonly kept: Value;
}

/** From token vectors to [batch, width]. */
const POOL: Readonly<Record<SentenceModules['pooling'][number], (states: TokenStates) => Value>> = {
  cls: (states) => tokenAt(states, 0),
  last: (states) => tokenAt(states, 1),
  max({ g, x, mask }) {
    const seen = g.op('Cast', [g.op('Unsqueeze', [mask, g.ints([2])])], { to: BOOL });
    return g.op('ReduceMax', [g.op('Where', [seen, x, g.scalar(HIDDEN)]), g.ints([1])], { keepdims: 0 });
  },
  mean: ({ g, x, kept }) => g.op('Div', [weighted(g, x, kept), total(g, kept)]),
  mean_sqrt_len: ({ g, x, kept }) => g.op('Div', [weighted(g, x, kept), g.op('Sqrt', [total(g, kept)])]),
  weightedmean({ g, x, mask, kept }) {
    const length = g.op('Squeeze', [g.op('Shape', [mask], { start: 1, end: 2 })]);
    const places = g.op('Range', [
      g.scalar(1, 'int64'),
      g.op('Add', [length, g.scalar(1, 'int64')]),
      g.scalar(1, 'int64'),
    ]);
    const column = g.op('Unsqueeze', [g.op('Cast', [places], { to: FLOAT32 }), g.ints([0, 2])]);
    const weights = g.op('Mul', [kept, column]);
    return g.op('Div', [weighted(g, x, weights), total(g, weights)]);
  },
};

function keptOf(g: GraphBuilder, mask: Value): Value {
  return g.op('Cast', [g.op('Unsqueeze', [mask, g.ints([2])])], { to: FLOAT32 });
}

/** The first or the last token that the mask keeps. */
function tokenAt({ g, x, mask }: TokenStates, last: 0 | 1): Value {
  const place = g.op('ArgMax', [g.op('Cast', [mask], { to: INT32 })], {
    axis: 1,
    keepdims: 1,
    select_last_index: last,
  });
  return g.op('GatherND', [x, place], { batch_dims: 1 });
}

function weighted(g: GraphBuilder, x: Value, weights: Value): Value {
  return g.op('ReduceSum', [g.op('Mul', [x, weights]), g.ints([1])], { keepdims: 0 });
}

function total(g: GraphBuilder, weights: Value): Value {
  return g.op('ReduceSum', [weights, g.ints([1])], { keepdims: 0 });
}

function addStep(g: GraphBuilder, x: Value, step: SentenceStep): Value {
  if (step.kind === 'normalize') {
    const length = g.op('ReduceL2', [x, g.ints([-1])], { keepdims: 1 });
    return g.op('Div', [x, g.op('Max', [length, g.scalar(LEAST_LENGTH)])]);
  }
  const weights = new Weights(step.weights);
  const name = (tensor: string) => `${step.path}/${tensor}`;
  const y = step.kind === 'dense' ? dense(g, x, step, weights, name) : norm(g, x, step.width, weights, name);
  const [unused] = step.weights.unused;
  if (unused !== undefined) throw invalid(`${name(unused)} is a tensor that this module does not use`);
  return y;
}

type Dense = Extract<SentenceStep, { kind: 'dense' }>;

function dense(
  g: GraphBuilder,
  x: Value,
  { inputs, outputs, bias, activation, residual }: Dense,
  weights: Weights,
  name: (tensor: string) => string,
): Value {
  const linear = weights.linear('linear', inputs, outputs, bias);
  const y = ACTIVATE[activation](g, float32.linear(g, x, name(linear.name), linear.weight, linear.bias));
  if (!residual) return y;
  if (inputs === outputs) return g.op('Add', [y, x]);
  const own = weights.linear('residual', inputs, outputs, false);
  return g.op('Add', [y, float32.linear(g, x, name(own.name), own.weight)]);
}

function norm(g: GraphBuilder, x: Value, width: number, weights: Weights, name: (tensor: string) => string): Value {
  const { gain, bias } = weights.norm('norm', width);
  const vector = (part: string, values: Float32Array) =>
    g.constant(name(`norm.${part}`), 'float32', [width], dataOf(values));
  const inputs = [x, vector('weight', gain), vector('bias', bias ?? new Float32Array(width))];
  return g.op('LayerNormalization', inputs, { axis: -1, epsilon: float(EPSILON) });
}

const ACTIVATE: Readonly<Record<DenseActivation, (g: GraphBuilder, x: Value) => Value>> = {
  Identity: (_, x) => x,
  Tanh: (g, x) => g.op('Tanh', [x]),
  ReLU: (g, x) => g.op('Relu', [x]),
  GELU: (g, x) => g.op('Gelu', [x]),
  SiLU: (g, x) => g.op('Mul', [x, g.op('Sigmoid', [x])]),
  Sigmoid: (g, x) => g.op('Sigmoid', [x]),
};
