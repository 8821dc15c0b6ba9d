/** Distils an embedding model into a table of token vectors: 50 times its speed and more, and blind to the order of words. */
import { weightBytes } from '@shoal/models';
import { saveModel } from '@shoal/onnx';
import { split } from '../linear/split.js';
import { countFeatures, multiply } from '../linear/token-rows.js';
import type { Candidate, Context, Made, Method, Subject } from '../types.js';
import { type Lesson, rowsOf, takeLesson } from './lesson.js';
import { part } from './progress.js';
import { textsOf } from './questions.js';
import { chooseRestraint, type Restraint, refineTable } from './refine-table.js';
import { refusal, type StaticTable, staticGraph } from './static-graph.js';
import { likenessOf, type Prior, type PriorLesson, staticPrior } from './static-prior.js';
import { openTeacher } from './teacher.js';
import { type TokenMeans, tokenMeans } from './token-means.js';
import { tokenWeights } from './token-weights.js';

/** Texts that a student learns from. */
const MOST_TEXTS = 50_000;
/** Of them, those that tokens are looked at in, that the map into the teacher's space is fitted to, and its restraint chosen on. */
const MOST_CONTEXTS = 10_000;
const MOST_CHOICES = 1000;

export const staticStudent: Method = {
  name: 'static',
  description: 'a table of token vectors and their mean, in place of an embedding model',
  tasks: ['feature-extraction'],

  async plan({ original }: Subject) {
    const reason = refusal(original);
    if (reason !== null) return reason;
    const settings = { texts: MOST_TEXTS };
    return [{ method: 'static', variant: 'static', settings, seconds: seconds(await weightBytes(original)) }];
  },

  async make(candidate: Candidate, { original, data }: Subject, path: string, context: Context): Promise<Made> {
    const most = Number(candidate.settings.texts);
    const texts = textsOf(data.calibration, most, data.file);
    const chosen = textsOf(data.choice, MOST_CHOICES, `${data.file}, the part for choosing`, 1);
    const teacher = await openTeacher(original, context);
    try {
      const lesson = await takeLesson(teacher, texts, part(context, 0, 0.4));
      const choice = await takeLesson(teacher, chosen);
      context.say(`${texts.length} texts answered by the teacher`);
      const looked = texts.slice(0, MOST_CONTEXTS);
      const means = await tokenMeans(teacher, looked, lesson.items, part(context, 0.4, 0.6));
      const learnt = await learn(means, lesson, choice, { ...context, onProgress: part(context, 0.6, 1) });
      saveModel(staticGraph(original, learnt), path);
      const { ridge, steps, dropped, cosine } = learnt;
      return {
        method: `static, fitted to ${texts.length} texts, ridge ${ridge}, ${steps} steps`,
        notes: [
          `${means.alone} of ${teacher.vocabulary} tokens come in no text looked at: their vectors are of passes alone`,
          `mean cosine to the teacher on the part for choosing: ${cosine.toFixed(3)} (${dropped} components left out)`,
          'the graph pools by itself: requests that name a pooling are refused',
        ],
      };
    } finally {
      await teacher.close();
    }
  },
};

/** A text of twelve tokens takes MiniLM (90 MB) about 2 ms; then a minute of fitting. */
function seconds(bytes: number): number {
  return Math.round(60 + (3 * MOST_TEXTS * bytes) / 9e7 / 1000);
}

interface Learnt extends StaticTable, Restraint {
  readonly dropped: number;
  /** Mean, to the teacher's vectors of the texts for choosing. */
  readonly cosine: number;
}

/** With each way of counting tokens where a sum is divided, as far as it takes to know the better one, and then with that. */
async function learn(means: TokenMeans, lesson: Lesson, choice: Lesson, context: Context): Promise<Learnt> {
  const { dimensions } = lesson.answers;
  const [heldOut, rest] = split(lesson.items.length, context.random);
  const one = new Float64Array(means.vectors.length / means.width).fill(1);
  const weights = tokenWeights(countFeatures(rowsOf(lesson.items, one)));
  let best: { prior: Prior; counts: Float64Array; found: Restraint & { readonly error: number } } | undefined;
  for (const counts of [one, weights]) {
    const first = firstOf(lesson, counts, MOST_CONTEXTS);
    const prior = staticPrior(means, { weights, counts }, first, firstOf(choice, counts, MOST_CHOICES));
    const whole = firstOf(lesson, counts, lesson.items.length);
    const parts = { heldOut, rest: rest.slice(0, MOST_CONTEXTS) };
    const found = await chooseRestraint(prior.table, whole, parts, context.signal);
    if (best === undefined || found.error < best.found.error) best = { prior, counts, found };
  }
  const { prior, counts, found } = best!;
  const table = await refineTable(prior.table, firstOf(lesson, counts, lesson.items.length), found, context);
  const cosine = likenessOf(multiply(rowsOf(choice.items, counts), table, dimensions), choice.answers);
  return { ...found, table, dimensions, counts: Float32Array.from(counts), dropped: prior.dropped, cosine };
}

function firstOf({ items, answers: { values, dimensions } }: Lesson, counts: Float64Array, most: number): PriorLesson {
  const first = items.slice(0, most);
  return {
    rows: rowsOf(first, counts),
    answers: { values: values.subarray(0, first.length * dimensions), dimensions },
  };
}
