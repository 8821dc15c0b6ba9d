/**
 * Losses, each with its gradient by the model's output in closed form: that is where the way back begins. A loss is a weighted
 * sum over rows: texts of a classifier or an embedder, tokens of a language model.
 */
import { GraphBuilder, type Model, type Value } from '@shoal/onnx';
import { refused } from '../errors.js';
import type { Shapes } from '../graph/shapes.js';

interface Term {
  /** An output of the graph: [..., width], all but the last dimension of which are rows, one behind the other. */
  readonly output: string;
  /** What it is multiplied by, beside other terms; default 1. */
  readonly share?: number;
}

export type Loss =
  /** −log softmax(output)[label]. `labels`: the name of an input that the training graph gets, int64 [rows]. */
  | (Term & { readonly kind: 'cross-entropy'; readonly labels: string })
  /**
   * T²·KL(teacher ‖ student) of distributions at temperature T (Hinton et al. 2015). `teacher`: an input float32 [rows, width] of
   * probabilities at temperature 1; those at T follow from them.
   */
  | (Term & { readonly kind: 'kl'; readonly teacher: string; readonly temperature: number })
  /**
   * The mean over a row of −t·log σ(x) − (1 − t)·log(1 − σ(x)): of outputs that are each a yes or a no. `teacher`: an input float32
   * [rows, width] of probabilities.
   */
  | (Term & { readonly kind: 'binary-cross-entropy'; readonly teacher: string })
  /** The mean square of a row's differences. `teacher`: an input float32 [rows, width]. */
  | (Term & { readonly kind: 'mean-square'; readonly teacher: string })
  /** 1 − cosine; rows need not have length 1. `teacher`: an input float32 [rows, width]. */
  | (Term & { readonly kind: 'cosine'; readonly teacher: string });

/** An input that the training graph gets, float32 [rows]: what each row's loss is multiplied by in the sum. */
export const ROW_WEIGHTS = 'row_weights';

/** Probabilities below this count as this: a logarithm of 0 is no number. */
const LEAST_PROBABILITY = 1e-30;
/** Vectors shorter than this count as that long, as in PyTorch's `cosine_similarity`. */
const LEAST_LENGTH = 1e-8;

export interface AddedLoss {
  /** float32 [] */
  readonly loss: Value;
  /** By output: the value that holds the loss's gradient by it, of the output's shape. */
  readonly seeds: ReadonlyMap<string, Value>;
}

/**
 * Appends to `model` (changed) the sum of the terms, as nodes below `training/loss/`, and the inputs they need.
 *
 * @throws ShoalError `invalid_request` naming the term that does not fit
 */
export function addLosses(model: Model, shapes: Shapes, terms: readonly Loss[]): AddedLoss {
  if (terms.length === 0) throw refused('losses: there is none');
  const g = new GraphBuilder(model);
  return g.within('training/loss', () => {
    const weights = g.op('Unsqueeze', [g.input(ROW_WEIGHTS, 'float32', ['rows']), g.ints([1])]);
    const losses: Value[] = [];
    const gradients = new Map<string, Value>();
    for (const [n, term] of terms.entries()) {
      const rows = rowsOf(g, model, shapes, term, n);
      const made = make(rows, weights, term);
      const scaled = (x: Value) =>
        term.share === undefined || term.share === 1 ? x : g.op('Mul', [x, g.scalar(term.share)]);
      losses.push(scaled(g.op('ReduceSum', [g.op('Mul', [made.losses, weights])], { keepdims: 0 })));
      const gradient = scaled(made.gradient);
      const before = gradients.get(term.output);
      gradients.set(term.output, before === undefined ? gradient : g.op('Add', [before, gradient]));
    }
    const loss = losses.reduce((a, b) => g.op('Add', [a, b]));
    const seeds = new Map<string, Value>();
    for (const [output, gradient] of gradients) {
      const flat = shapes.get(output)?.shape.length === 2;
      seeds.set(output, flat ? gradient : g.op('Reshape', [gradient, g.op('Shape', [output])]));
    }
    return { loss, seeds };
  });
}

interface Rows {
  readonly g: GraphBuilder;
  readonly model: Model;
  /** [rows, width] */
  readonly x: Value;
  readonly width: number;
}

function rowsOf(g: GraphBuilder, model: Model, shapes: Shapes, { output, share = 1 }: Loss, n: number): Rows {
  if (!model.graph.outputs.some(({ name }) => name === output)) {
    throw refused(`losses[${n}].output: the graph has no output ${output}`);
  }
  if (!Number.isFinite(share)) throw refused(`losses[${n}].share: ${share} is no number`);
  const { type, shape } = shapes.get(output)!;
  const width = shape.at(-1);
  if (type !== 'float32' || shape.length < 2 || typeof width !== 'number') {
    throw refused(`losses[${n}].output: ${output} is ${type} [${shape.join(', ')}], and not float32 [..., width]`);
  }
  const x = shape.length === 2 ? output : g.op('Reshape', [output, g.ints([-1, width])]);
  return { g, model, x, width };
}

interface MadeLoss {
  /** Of each row: [rows, 1]. */
  readonly losses: Value;
  /** Of their weighted sum, by the output: [rows, width]. */
  readonly gradient: Value;
}

function make(rows: Rows, weights: Value, term: Loss): MadeLoss {
  switch (term.kind) {
    case 'cross-entropy':
      return crossEntropy(rows, weights, target(rows, term.labels, 'int64'));
    case 'kl':
      return divergence(rows, weights, target(rows, term.teacher, 'float32'), term.temperature);
    case 'binary-cross-entropy':
      return binaryCrossEntropy(rows, weights, target(rows, term.teacher, 'float32'));
    case 'mean-square':
      return meanSquare(rows, weights, target(rows, term.teacher, 'float32'));
    case 'cosine':
      return cosine(rows, weights, target(rows, term.teacher, 'float32'));
  }
}

/** Several terms may have the same target. */
function target({ g, model, width }: Rows, name: string, type: 'int64' | 'float32'): Value {
  const shape = type === 'int64' ? ['rows'] : ['rows', width];
  const there = model.graph.inputs.find((input) => input.name === name);
  if (there === undefined) return g.input(name, type, shape);
  if (there.type === type && there.shape?.join() === shape.join()) return name;
  throw refused(`losses: the graph has an input ${name} already: give labels and teachers names of their own`);
}

/** softmax − 1 at the label. */
function crossEntropy({ g, x }: Rows, weights: Value, labels: Value): MadeLoss {
  const logs = g.op('LogSoftmax', [x], { axis: -1 });
  const at = g.op('Unsqueeze', [labels, g.ints([1])]);
  const shares = g.op('Mul', [g.op('Exp', [logs]), weights]);
  return {
    losses: g.op('Neg', [g.op('GatherElements', [logs, at], { axis: 1 })]),
    gradient: g.op('ScatterElements', [shares, at, g.op('Neg', [weights])], { axis: 1, reduction: 'add' }),
  };
}

/** T·(softmax(x / T) − shares). */
function divergence({ g, x }: Rows, weights: Value, teacher: Value, temperature: number): MadeLoss {
  if (!(temperature > 0 && Number.isFinite(temperature))) {
    throw refused(`losses: a temperature of ${temperature} is no number above 0`);
  }
  const logs = (of: Value) => g.op('LogSoftmax', [g.op('Mul', [of, g.scalar(1 / temperature)])], { axis: -1 });
  const student = logs(x);
  // Logits less a constant: softmax does not see it.
  const wanted = logs(g.op('Log', [g.op('Max', [teacher, g.scalar(LEAST_PROBABILITY)])]));
  const shares = g.op('Exp', [wanted]);
  const each = g.op('Mul', [shares, g.op('Sub', [wanted, student])]);
  const difference = g.op('Sub', [g.op('Exp', [student]), shares]);
  return {
    losses: g.op('Mul', [g.op('ReduceSum', [each, g.ints([1])], { keepdims: 1 }), g.scalar(temperature ** 2)]),
    gradient: g.op('Mul', [difference, g.op('Mul', [weights, g.scalar(temperature)])]),
  };
}

/** log(1 + eˣ) − t·x, which no logit is too large for, and σ(x) − t. */
function binaryCrossEntropy({ g, x, width }: Rows, weights: Value, teacher: Value): MadeLoss {
  const each = g.op('Sub', [g.op('Softplus', [x]), g.op('Mul', [x, teacher])]);
  const difference = g.op('Sub', [g.op('Sigmoid', [x]), teacher]);
  return {
    losses: g.op('ReduceMean', [each, g.ints([1])], { keepdims: 1 }),
    gradient: g.op('Mul', [difference, g.op('Mul', [weights, g.scalar(1 / width)])]),
  };
}

function meanSquare({ g, x, width }: Rows, weights: Value, teacher: Value): MadeLoss {
  const difference = g.op('Sub', [x, teacher]);
  return {
    losses: g.op('ReduceMean', [g.op('Mul', [difference, difference]), g.ints([1])], { keepdims: 1 }),
    gradient: g.op('Mul', [difference, g.op('Mul', [weights, g.scalar(2 / width)])]),
  };
}

/** (cosine·x′ − teacher′) / |x|, where ′ are vectors of length 1. */
function cosine({ g, x }: Rows, weights: Value, teacher: Value): MadeLoss {
  const sum = (of: Value) => g.op('ReduceSum', [of, g.ints([1])], { keepdims: 1 });
  const length = (of: Value) => g.op('Max', [g.op('Sqrt', [sum(g.op('Mul', [of, of]))]), g.scalar(LEAST_LENGTH)]);
  const own = length(x);
  const [student, wanted] = [g.op('Div', [x, own]), g.op('Div', [teacher, length(teacher)])];
  const cos = sum(g.op('Mul', [student, wanted]));
  const turn = g.op('Sub', [g.op('Mul', [student, cos]), wanted]);
  return {
    losses: g.op('Sub', [g.scalar(1), cos]),
    gradient: g.op('Mul', [turn, g.op('Div', [weights, own])]),
  };
}
