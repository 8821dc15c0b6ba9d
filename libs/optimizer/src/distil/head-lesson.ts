/** What a student of a classifier learns from: texts, and what the teacher answers to them and to each token alone. */
import { ShoalError, type TextItem, type WireOutput } from '@shoal/contracts';
import type { ScoreFunction } from '@shoal/models';
import { argmax } from '../linear/argmax.js';
import type { Answer } from '../teacher/ask-pages.js';
import type { Question } from '../teacher/types.js';
import type { Teacher } from './teacher.js';
import { whatIsAround } from './token-means.js';

export interface Answers {
  readonly items: readonly TextItem[];
  /** [texts, classes]: the scores that a caller gets, by class. */
  readonly scores: Float32Array;
  readonly classes: number;
  readonly link: ScoreFunction;
}

/** @throws ShoalError as the teacher does */
export async function takeAnswers(
  teacher: Teacher,
  questions: readonly Question[],
  onProgress: (share: number) => void = () => {},
): Promise<Answers> {
  const { labels, text } = teacher.model;
  const classes = labels.length;
  const items = new Array<TextItem>(questions.length);
  const scores = new Float32Array(questions.length * classes);
  const learn = ({ place, item, output }: Answer) => {
    items[place] = item;
    const { indices, scores: own } = scoresOf(output);
    for (const [n, index] of indices.entries()) scores[place * classes + index] = own[n]!;
  };
  await teacher.ask(questions, learn, { onProgress });
  return { items, scores, classes, link: text?.scoreFunction ?? 'softmax' };
}

function scoresOf(output: WireOutput): Extract<WireOutput, { kind: 'scores' }> {
  if (output.kind === 'scores') return output;
  throw new ShoalError('internal_error', `the teacher answered with ${output.kind}, not with scores`);
}

/** The class of each text that has the highest score. */
export function classesOf(scores: Float32Array | Float64Array, classes: number): Uint32Array {
  return Uint32Array.from({ length: scores.length / classes }, (_, n) =>
    argmax(scores.subarray(n * classes, (n + 1) * classes)),
  );
}

/**
 * What each token says by itself, before the link and as far as it differs from what tokens say on average: [vocabulary,
 * classes]. Where a head has seen no text with a token, this is all that it knows of it.
 */
export async function tokensAlone(teacher: Teacher, { items, link }: Answers): Promise<Float64Array> {
  const { before, after } = whatIsAround(items);
  const questions = Array.from({ length: teacher.vocabulary }, (_, token) => ({
    tokens: [...before, token, ...after],
  }));
  const { scores, classes } = await takeAnswers(teacher, questions);
  const unlinked = Float64Array.from(scores, (score) => UNDO[link](score));
  if (link === 'softmax') centerRows(unlinked, classes);
  const mean = new Float64Array(classes);
  for (const [at, value] of unlinked.entries()) mean[at % classes] = mean[at % classes]! + value / questions.length;
  return unlinked.map((value, at) => value - mean[at % classes]!);
}

const LEAST = 1e-6;
const UNDO: Readonly<Record<ScoreFunction, (score: number) => number>> = {
  softmax: (score) => Math.log(Math.max(score, LEAST)),
  sigmoid: (score) => Math.log(Math.max(score, LEAST) / Math.max(1 - score, LEAST)),
  none: (score) => score,
};

/** A constant added to all classes changes nothing. */
function centerRows(values: Float64Array, classes: number): void {
  for (let from = 0; from < values.length; from += classes) {
    const row = values.subarray(from, from + classes);
    const mean = row.reduce((sum, value) => sum + value, 0) / classes;
    for (let c = 0; c < classes; c++) row[c] = row[c]! - mean;
  }
}
