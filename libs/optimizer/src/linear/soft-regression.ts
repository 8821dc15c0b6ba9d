/**
 * Regression on sparse rows to soft targets: W and b of least Σ loss(X·W + b, target) + λ/2·‖W − W₀‖², which is convex. The loss
 * is the cross-entropy of what the model's scores are made by: softmax over classes, a sigmoid each, or half the squared error.
 */
import { setImmediate as othersTurn } from 'node:timers/promises';
import type { ScoreFunction } from '@shoal/models';
import { minimise } from './minimise.js';
import { rowCount, type TokenRows } from './token-rows.js';

export interface SoftLesson {
  readonly rows: TokenRows;
  /** [rows, classes]: what the teacher answers. */
  readonly targets: Float32Array;
  readonly classes: number;
  readonly link: ScoreFunction;
}

/** Scores of a row before the link: the sum of its features' rows, times its scale, and the bias. */
export interface Scorer {
  /** [features, classes] */
  readonly weights: Float64Array;
  /** [classes] */
  readonly bias: Float64Array;
}

export interface SoftFit extends Scorer {
  /** Its norm at the end beside that at the start, in the scaled weights. */
  readonly gradientShare: number;
  readonly steps: number;
}

export interface FitOptions {
  readonly ridge: number;
  readonly most: number;
  readonly tolerance: number;
  readonly signal: AbortSignal;
}

/**
 * Steps are taken in weights that are scaled by how often their features come, so that rare ones move as soon as common ones.
 *
 * @param prior W₀, [features, classes]
 * @throws the signal's reason
 */
export async function fitSoft(lesson: SoftLesson, prior: Float64Array, options: FitOptions): Promise<SoftFit> {
  const { ridge, most, tolerance, signal } = options;
  await othersTurn();
  const size = lesson.rows.width * lesson.classes;
  const scales = scalesOf(lesson, ridge);
  const weights = new Float64Array(size);
  const bias = new Float64Array(lesson.classes);
  const unscale = (x: Float64Array) => {
    for (let at = 0; at < size; at++) weights[at] = prior[at]! + scales[at]! * x[at]!;
    for (let c = 0; c < bias.length; c++) bias[c] = scales[size + c]! * x[size + c]!;
  };
  let first = Number.NaN;
  const objective = (x: Float64Array, gradient: Float64Array): number => {
    unscale(x);
    gradient.fill(0);
    let value = lossOf(lesson, { weights, bias }, gradient);
    let squares = 0;
    for (let at = 0; at < gradient.length; at++) {
      if (at < size) {
        const change = weights[at]! - prior[at]!;
        value += (ridge / 2) * change ** 2;
        gradient[at] = gradient[at]! + ridge * change;
      }
      gradient[at] = gradient[at]! * scales[at]!;
      squares += gradient[at]! ** 2;
    }
    if (Number.isNaN(first)) first = Math.sqrt(squares);
    return value;
  };
  const onStep = () => signal.throwIfAborted();
  const { x, gradientNorm, steps } = minimise(objective, new Float64Array(scales.length), { most, tolerance, onStep });
  unscale(x);
  return { weights, bias, gradientShare: first > 0 ? gradientNorm / first : 0, steps };
}

/** About what a class among several adds to the curvature at a row: p·(1 − p). */
const CURVATURE = 0.1;

/** Of weights and bias: 1 / √(curvature of the objective along each, roughly). */
function scalesOf({ rows, classes }: SoftLesson, ridge: number): Float64Array {
  const { starts, features, scales, width } = rows;
  const sums = new Float64Array(width + 1);
  for (let n = 0; n < scales.length; n++) {
    sums[width] = sums[width]! + 1;
    for (let at = starts[n]!; at < starts[n + 1]!; at++) sums[features[at]!] = sums[features[at]!]! + scales[n]! ** 2;
  }
  return Float64Array.from({ length: (width + 1) * classes }, (_, at) => {
    const feature = Math.floor(at / classes);
    return 1 / Math.sqrt(CURVATURE * sums[feature]! + (feature < width ? ridge : 0) || 1);
  });
}

/** The loss summed over rows; what it changes by with weights and bias is added to `gradient`, where there is one. */
export function lossOf(lesson: SoftLesson, scorer: Scorer, gradient?: Float64Array): number {
  const { rows, targets, classes, link } = lesson;
  const { starts, features, scales, width } = rows;
  const scores = new Float64Array(classes);
  const answers = new Float64Array(classes);
  let loss = 0;
  for (let n = 0; n < scales.length; n++) {
    scoreInto(rows, n, scorer, scores);
    loss += LINKS[link](scores, targets.subarray(n * classes, (n + 1) * classes), answers);
    if (gradient === undefined) continue;
    for (let c = 0; c < classes; c++) {
      const wrong = answers[c]! - targets[n * classes + c]!;
      gradient[width * classes + c] = gradient[width * classes + c]! + wrong;
      answers[c] = wrong * scales[n]!;
    }
    for (let at = starts[n]!; at < starts[n + 1]!; at++) {
      const to = features[at]! * classes;
      for (let c = 0; c < classes; c++) gradient[to + c] = gradient[to + c]! + answers[c]!;
    }
  }
  return loss;
}

/** Scores of all rows, [rows, classes]. */
export function scoresOf(rows: TokenRows, scorer: Scorer): Float64Array {
  const classes = scorer.bias.length;
  const scores = new Float64Array(rowCount(rows) * classes);
  for (let n = 0; n < rowCount(rows); n++) {
    scoreInto(rows, n, scorer, scores.subarray(n * classes, (n + 1) * classes));
  }
  return scores;
}

function scoreInto({ starts, features, scales }: TokenRows, n: number, scorer: Scorer, scores: Float64Array): void {
  const { weights, bias } = scorer;
  scores.fill(0);
  for (let at = starts[n]!; at < starts[n + 1]!; at++) {
    const from = features[at]! * scores.length;
    for (let c = 0; c < scores.length; c++) scores[c] = scores[c]! + weights[from + c]!;
  }
  for (let c = 0; c < scores.length; c++) scores[c] = scores[c]! * scales[n]! + bias[c]!;
}

/** The loss of one row; writes what the scores become. */
type Link = (scores: Float64Array, target: Float32Array, answers: Float64Array) => number;

const LINKS: Readonly<Record<ScoreFunction, Link>> = {
  softmax(scores, target, answers) {
    const largest = scores.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
    let total = 0;
    for (let c = 0; c < scores.length; c++) {
      answers[c] = Math.exp(scores[c]! - largest);
      total += answers[c]!;
    }
    const level = largest + Math.log(total);
    let loss = 0;
    for (let c = 0; c < scores.length; c++) {
      answers[c] = answers[c]! / total;
      loss += target[c]! * (level - scores[c]!);
    }
    return loss;
  },
  sigmoid(scores, target, answers) {
    let loss = 0;
    for (let c = 0; c < scores.length; c++) {
      const score = scores[c]!;
      answers[c] = 1 / (1 + Math.exp(-score));
      // log(1 + e^score) − target × score, without an exponential that overflows.
      loss += Math.max(score, 0) + Math.log1p(Math.exp(-Math.abs(score))) - target[c]! * score;
    }
    return loss;
  },
  none(scores, target, answers) {
    let loss = 0;
    for (let c = 0; c < scores.length; c++) {
      answers[c] = scores[c]!;
      loss += (scores[c]! - target[c]!) ** 2 / 2;
    }
    return loss;
  },
};

/** What scores become by a link, one row: probabilities, or the scores themselves. */
export function answersOf(link: ScoreFunction, scores: Float64Array): Float64Array {
  const answers = new Float64Array(scores.length);
  LINKS[link](scores, new Float32Array(scores.length), answers);
  return answers;
}
