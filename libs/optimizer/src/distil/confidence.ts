/** How sure a student is of a text, and how sure it has to be to answer alone. */
import type { ScoreFunction } from '@shoal/models';
import type { GraphBuilder, Value } from '@shoal/onnx';
import { ALPHA } from '../gate/bound.js';
import { flipsBound } from '../gate/flips-bound.js';
import { answersOf } from '../linear/soft-regression.js';

/**
 * From 0 to 1: the largest probability of one class among many; of classes that each may be, that of the least sure one.
 */
export function confidenceOf(link: ScoreFunction, logits: Float64Array): number {
  const answers = answersOf(link, logits);
  if (link === 'softmax') return answers.reduce((most, share) => Math.max(most, share), 0);
  return answers.reduce((least, share) => Math.min(least, Math.max(share, 1 - share)), 1);
}

/**
 * Where the confidence is below `threshold`, from logits [batch, classes]: bool, [batch]. Each row is computed by itself (a softmax is;
 * a sigmoid of all rows is not, so that its argument is compared): in all company it is the same. By TopK: reductions take their
 * axes in another way in each operator set.
 */
export function addUnsure(g: GraphBuilder, link: ScoreFunction, logits: Value, threshold: number): Value {
  const one = g.ints([1]);
  const best = (values: Value, largest: 0 | 1) =>
    g.op('Squeeze', [g.ops('TopK', [values, one], 2, { axis: -1, largest })[0]!, one]);
  if (link === 'softmax') return g.op('Less', [best(g.op('Softmax', [logits], { axis: -1 }), 1), g.scalar(threshold)]);
  return g.op('Less', [best(g.op('Abs', [logits]), 0), g.scalar(marginOf(threshold))]);
}

/** Logits this far from 0 have a sigmoid, or what it lacks to 1, of at least `threshold`. */
function marginOf(threshold: number): number {
  if (threshold <= 0.5) return 0;
  return threshold >= 1 ? Number.POSITIVE_INFINITY : Math.log(threshold / (1 - threshold));
}

export interface Judged {
  readonly confidence: number;
  /** What the student's answer loses beside the teacher's: 1, 0 or −1. */
  readonly loss: number;
}

export interface Threshold {
  /** Texts of a lower confidence are for the teacher. */
  readonly threshold: number;
  /** Share of texts that are. */
  readonly asked: number;
  /** Upper bound of the mean loss over all texts like these; it is too low for one choice of twenty at most. */
  readonly bound: number;
}

/**
 * The lowest threshold of those, from the surest text on, at which the loss is surely within `budget`; null where the student may answer
 * no text. The first that is not ends the row: of thresholds that are tried in an order that was fixed before, and no further than
 * to the first that fails, none has to be paid for (fixed sequence testing: Bauer 1991, Statistics in Medicine 10:871; for risks
 * Angelopoulos et al. 2021, Learn then Test). The lowest of all that fit would fit by chance.
 */
export function calibrate(judged: readonly Judged[], budget: number): Threshold | null {
  const order = [...judged].sort((a, b) => b.confidence - a.confidence);
  const count = order.length;
  let [lost, gained] = [0, 0];
  let best: Threshold | null = null;
  let bound = flipsBound(0, 0, ALPHA) / count;
  for (const [n, { confidence, loss }] of order.entries()) {
    if (loss > 0) lost += 1;
    if (loss < 0) gained += 1;
    if (loss !== 0) bound = flipsBound(lost, gained, ALPHA) / count;
    const next = order[n + 1]?.confidence ?? 0;
    // Texts of the same confidence are on the same side.
    if (next === confidence) continue;
    if (bound > budget) break;
    const threshold = n + 1 === count ? 0 : Math.fround((confidence + next) / 2);
    best = { threshold, asked: 1 - (n + 1) / count, bound };
  }
  return best;
}
