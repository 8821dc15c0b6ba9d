/** Distils a classifier into weights of tokens and of pairs of them: its answers on unlabelled texts are all that is needed. */
import { ShoalError } from '@shoal/contracts';
import { weightBytes } from '@shoal/models';
import { saveModel } from '@shoal/onnx';
import type { Candidate, Context, Data, Examples, Made, Method, Subject } from '../types.js';
import { fitHead, type Head } from './fit-head.js';
import { headGraph } from './head-graph.js';
import { type Answers, classesOf, takeAnswers, tokensAlone } from './head-lesson.js';
import { part } from './progress.js';
import { textsOf } from './questions.js';
import { refusal } from './static-graph.js';
import { openTeacher, type Teacher } from './teacher.js';
import type { FeatureSpace } from './text-features.js';

/** Texts that a head learns from, and that its features are chosen by. */
export const MOST_TEXTS = 50_000;
const MOST_CHOICES = 5000;

export const staticHead: Method = {
  name: 'static-head',
  description: 'weights of tokens and of pairs of neighbours, in place of a classifier',
  tasks: ['text-classification'],

  async plan({ original }: Subject) {
    const reason = refusalOfHead(original);
    if (reason !== null) return reason;
    const settings = { texts: MOST_TEXTS };
    return [
      { method: 'static-head', variant: 'static-head', settings, seconds: secondsOfHead(await weightBytes(original)) },
    ];
  },

  async make(candidate: Candidate, { original, data }: Subject, path: string, context: Context): Promise<Made> {
    const teacher = await openTeacher(original, context);
    try {
      const { head, choice, texts } = await learnHead(teacher, data, Number(candidate.settings.texts), context);
      saveModel(headGraph(original, head), path);
      const { labelled, quality } = choice;
      return {
        method: `static head, fitted to ${texts} texts, ridge ${head.ridge}`,
        notes: [
          `features: ${describe(head.space)}; ${head.steps} steps`,
          `${labelled ? 'accuracy' : 'agreement with the teacher'} on the part for choosing: ${(100 * quality).toFixed(1)} %`,
        ],
      };
    } finally {
      await teacher.close();
    }
  },
};

function describe({ buckets, first }: FeatureSpace): string {
  const more = [
    ...(buckets > 0 ? ['pairs of neighbours'] : []),
    ...(first > 0 ? [`the first ${first} once more`] : []),
  ];
  return ['tokens', ...more].join(', ');
}

/** Why there can be no head; null where there can. */
export function refusalOfHead(original: Subject['original']): string | null {
  if (original.labels.length < 2) return 'it tells a value, not a class';
  return refusal(original);
}

/** A text of twelve tokens takes 90 MB about 2 ms; then a minute of fitting. */
export function secondsOfHead(bytes: number): number {
  return Math.round(60 + (2 * MOST_TEXTS * bytes) / 9e7 / 1000);
}

export interface LearntHead {
  readonly head: Head;
  readonly texts: number;
  readonly choice: Choice;
}

export interface Choice {
  /** The teacher's. */
  readonly answers: Answers;
  readonly labelled: boolean;
  /** By label, else by the teacher's class. */
  readonly right: readonly number[];
  /** Share that the head gets right. */
  readonly quality: number;
}

/** @throws ShoalError where there are too few texts or labels of another model, or as the teacher does */
export async function learnHead(teacher: Teacher, data: Data, most: number, context: Context): Promise<LearntHead> {
  const texts = textsOf(data.calibration, most, data.file);
  const { items, labels } = chosenOf(data.choice, `${data.file}, the part for choosing`);
  const indices = labels && indicesOf(labels, teacher.model.labels, data.file);
  const answers = await takeAnswers(teacher, texts, part(context, 0, 0.5));
  context.say(`${texts.length} texts answered by the teacher`);
  const alone = await tokensAlone(teacher, answers);
  const chosen = await takeAnswers(teacher, items);
  const { classes } = chosen;
  const right = indices ?? [...classesOf(chosen.scores, classes)];
  const judge = (scores: Float64Array) =>
    classesOf(scores, classes).filter((own, n) => own === right[n]).length / right.length;
  const choosing = { items: chosen.items, judge };
  const fitting = { ...context, onProgress: part(context, 0.6, 1) };
  const { head, quality } = await fitHead(answers, teacher.vocabulary, alone, choosing, fitting);
  return { head, texts: texts.length, choice: { answers: chosen, labelled: labels !== null, right, quality } };
}

/** -1 for a label that the model does not have. @throws ShoalError `invalid_request` where it has none of them */
function indicesOf(labels: readonly string[], names: readonly string[], file: string): readonly number[] {
  const indices = labels.map((label) => names.indexOf(label));
  if (indices.some((index) => index >= 0)) return indices;
  const known = names.slice(0, 5).join(', ');
  throw new ShoalError('invalid_request', `${file}: none of its labels is one of the model's (${known}, ...)`);
}

/** Texts to choose by, with their labels where they have some. */
function chosenOf(
  examples: Examples,
  what: string,
): { readonly items: readonly string[]; readonly labels: readonly string[] | null } {
  const { items, labelled } = examples;
  if (!labelled) return { items: textsOf(examples, MOST_CHOICES, what, 1), labels: null };
  const both = items.slice(0, MOST_CHOICES).flatMap((item) => (item.kind === 'text' ? [item] : []));
  return { items: both.map(({ text }) => text), labels: both.map(({ label }) => label ?? '') };
}
