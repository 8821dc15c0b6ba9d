/** What encoders are taught, task by task: the original's answers, and of classifiers labels beside them. */
import { ShoalError, type TextItem } from '@shoal/contracts';
import { embeddingOutputs, type Model, type ScoreFunction } from '@shoal/models';
import type { Model as Graph } from '@shoal/onnx';
import type { Tensor, Tensors } from '@shoal/onnxruntime';
import { type Batch, EMBEDDING, type Loss, pooled } from '@shoal/training';
import { takeAnswers } from '../distil/head-lesson.js';
import { takeLesson } from '../distil/lesson.js';
import { rowsToRank, textsOf } from '../distil/questions.js';
import type { Teacher } from '../distil/teacher.js';
import type { Data, Examples } from '../types.js';

/** Examples that a model learns from; more of them would not be seen within the steps that there are. */
export const MOST_EXAMPLES = 50_000;
/** Hinton et al. 2015 use 1 to 20: the lower, the more the likeliest classes count. */
const TEMPERATURE = 2;

export interface Taught {
  readonly items: readonly TextItem[];
  readonly losses: readonly Loss[];
  readonly behind?: ((graph: Graph) => Graph) | undefined;
  /** Of the items of these numbers, each with padding up to `width` tokens. */
  readonly targets: (examples: readonly number[], width: number) => Targets;
  readonly notes: readonly string[];
}

export interface Targets {
  /** By the names that the losses have for them. */
  readonly feeds: Tensors;
  readonly rows: Batch['rows'];
}

export interface Question {
  readonly teacher: Teacher;
  readonly data: Data;
  /** Of the original's answers in what is learnt; the rest is of labels, where there are any. */
  readonly share: number;
  readonly onProgress: (share: number) => void;
}

/** Why nothing is taught to such a model; null where something is. */
export function refusalOf({ task, inputs, outputs, text, shoal }: Model): string | null {
  if (!inputs.some(({ name }) => name === 'attention_mask')) return 'its graph takes no attention_mask';
  if (task === 'rerank') {
    const scores = outputs[0]?.shape.at(-1);
    return scores === 1 ? null : `its graph gives ${scores} numbers for a pair, and one is taught`;
  }
  if (task === 'feature-extraction') {
    const { tokens } = embeddingOutputs({ inputs, outputs, shoal });
    return tokens === null || poolingOf(text?.pooling) !== undefined
      ? null
      : `its vectors are pooled by ${text?.pooling.join(' and ')}, and only mean and cls are taught`;
  }
  if (task === 'text-classification' || task === 'token-classification') return null;
  return `it serves ${task}`;
}

function poolingOf(pooling: readonly string[] = []): 'mean' | 'first' | undefined {
  if (pooling.length !== 1) return undefined;
  return pooling[0] === 'mean' ? 'mean' : pooling[0] === 'cls' ? 'first' : undefined;
}

/** By 1 − cosine to the original's vectors. */
export async function teachVectors({ teacher, data, onProgress }: Question): Promise<Taught> {
  const { model } = teacher;
  const texts = textsOf(data.calibration, MOST_EXAMPLES, data.file);
  const { items, answers } = await takeLesson(teacher, texts, onProgress);
  const { tokens, pooled: own } = embeddingOutputs(model);
  const how = poolingOf(model.text?.pooling);
  if (tokens !== null && items.some(({ promptTokens }) => promptTokens !== undefined)) {
    const why = 'pooling leaves its prompt out, and its graph does not know how long that is: import it again';
    throw new ShoalError('invalid_request', `${model.name}: ${why}`);
  }
  return {
    items,
    ...(tokens !== null && { behind: (graph: Graph) => pooled(graph, how!) }),
    losses: [{ kind: 'cosine', output: tokens === null ? own!.name : EMBEDDING, teacher: 'teacher' }],
    targets: (examples) => ({
      feeds: { teacher: rowsOf(answers.values, answers.dimensions, examples) },
      rows: examples.length,
    }),
    notes: [`taught: the original's vectors of ${items.length} texts`],
  };
}

/** What a classifier's outputs are held against, by what makes scores of them. */
const BY_SCORES: Readonly<Record<ScoreFunction, (output: string) => Loss>> = {
  softmax: (output) => ({ kind: 'kl', output, teacher: 'teacher', temperature: TEMPERATURE }),
  sigmoid: (output) => ({ kind: 'binary-cross-entropy', output, teacher: 'teacher' }),
  none: (output) => ({ kind: 'mean-square', output, teacher: 'teacher' }),
};

/** By KL divergence from the original's probabilities; where texts have several labels each by itself; labels by cross-entropy. */
export async function teachClasses({ teacher, data, share, onProgress }: Question): Promise<Taught> {
  const { model } = teacher;
  const [output] = model.outputs;
  const all = textsOf(data.calibration, MOST_EXAMPLES, data.file);
  const known = labelsOf(data.calibration, model.labels);
  // One label of a text says nothing of the others that it may have.
  const labelled = share < 1 && model.text?.scoreFunction === 'softmax' && all.every((text) => known.has(text));
  const own = labelled ? share : 1;
  const { items, scores, classes, link } = await takeAnswers(teacher, all, onProgress);
  const labels = BigInt64Array.from(all, (text) => BigInt(known.get(text) ?? 0));
  const terms: readonly Loss[] = [
    { ...BY_SCORES[link](output!.name), share: own },
    { kind: 'cross-entropy', output: output!.name, labels: 'labels', share: 1 - own },
  ];
  const losses = terms.filter((term) => term.share !== 0);
  const has = (kind: Loss['kind']) => losses.some((loss) => loss.kind === kind);
  return {
    items,
    losses,
    targets: (examples) => ({
      feeds: {
        ...(own > 0 && { teacher: rowsOf(scores, classes, examples) }),
        ...(has('cross-entropy') && { labels: integers(examples.map((n) => labels[n]!)) }),
      },
      rows: examples.length,
    }),
    notes: [`taught: ${wordsOf(own)} of ${items.length} texts`],
  };
}

function wordsOf(share: number): string {
  if (share === 1) return "the original's answers";
  return share === 0 ? 'labels alone' : `labels, and by ${Math.round(100 * share)} % the original's answers`;
}

/** Of texts whose label is one of the model's. */
function labelsOf({ items }: Examples, names: readonly string[]): ReadonlyMap<string, number> {
  const labels = new Map<string, number>();
  for (const item of items) {
    const index = item.kind === 'text' && item.label !== undefined ? names.indexOf(item.label) : -1;
    if (item.kind === 'text' && index >= 0 && !labels.has(item.text)) labels.set(item.text, index);
  }
  return labels;
}

/** By the square of the difference from the original's score, before any sigmoid. */
export async function teachScores({ teacher, data, onProgress }: Question): Promise<Taught> {
  const questions = rowsToRank(data.calibration, MOST_EXAMPLES, data.file);
  const items = new Array<TextItem>(questions.length);
  const scores = new Float32Array(questions.length);
  await teacher.ask(
    questions,
    ({ place, item, output }) => {
      if (output.kind !== 'score') throw new RangeError(`a reranker answered with ${output.kind}`);
      items[place] = item;
      scores[place] = output.score;
    },
    { parameters: { function_to_apply: 'none' }, onProgress },
  );
  return {
    items,
    losses: [{ kind: 'mean-square', output: teacher.model.outputs[0]!.name, teacher: 'teacher' }],
    targets: (examples) => ({ feeds: { teacher: rowsOf(scores, 1, examples) }, rows: examples.length }),
    notes: [`taught: the original's scores of ${items.length} queries with a document`],
  };
}

/** What the original says of a token: its likeliest label, and how likely that is; a special token has none. */
interface TokenAnswer {
  readonly labels: Int32Array;
  readonly scores: Float32Array;
}

/** By KL divergence from the original's likeliest label of each token with its probability, the rest of which is spread evenly. */
export async function teachTokens({ teacher, data, onProgress }: Question): Promise<Taught> {
  const { outputs, labels } = teacher.model;
  const texts = textsOf(data.calibration, MOST_EXAMPLES, data.file);
  const items = new Array<TextItem>(texts.length);
  const answers = new Array<TokenAnswer>(texts.length);
  await teacher.ask(
    texts,
    ({ place, item, output }) => {
      if (output.kind !== 'entities') throw new RangeError(`a classifier of tokens answered with ${output.kind}`);
      const found = output.entities.values();
      const own: TokenAnswer = {
        labels: new Int32Array(item.ids.length).fill(-1),
        scores: new Float32Array(item.ids.length),
      };
      for (const [n, word] of (item.words ?? []).entries()) {
        // Every other token has an entity of its own, in their order.
        if (word < 0) continue;
        const { label, score } = found.next().value!;
        own.labels[n] = label;
        own.scores[n] = score;
      }
      items[place] = item;
      answers[place] = own;
    },
    { parameters: { aggregation_strategy: 'none', ignore_labels: [] }, onProgress },
  );
  return {
    items,
    losses: [{ kind: 'kl', output: outputs[0]!.name, teacher: 'teacher', temperature: 1 }],
    targets: (examples, width) =>
      tokenTargets(
        examples.map((n) => answers[n]!),
        width,
        labels.length,
      ),
    notes: [`taught: the original's labels of the tokens of ${items.length} texts`],
  };
}

function tokenTargets(answers: readonly TokenAnswer[], width: number, classes: number): Targets {
  const count = answers.length * width;
  // Rows that weigh nothing still need probabilities.
  const teacher = new Float32Array(count * classes).fill(1 / classes);
  const rows = new Float32Array(count);
  for (const [n, { labels, scores }] of answers.entries()) {
    for (const [at, label] of labels.entries()) {
      if (label < 0) continue;
      const row = n * width + at;
      const score = scores[at]!;
      rows[row] = 1;
      teacher.fill((1 - score) / Math.max(1, classes - 1), row * classes, (row + 1) * classes);
      teacher[row * classes + label] = score;
    }
  }
  return { feeds: { teacher: { type: 'float32', dims: [count, classes], data: teacher } }, rows };
}

/** Rows of [all, width]. */
function rowsOf(values: Float32Array, width: number, examples: readonly number[]): Tensor {
  const data = new Float32Array(examples.length * width);
  for (const [row, n] of examples.entries()) data.set(values.subarray(n * width, (n + 1) * width), row * width);
  return { type: 'float32', dims: [examples.length, width], data };
}

function integers(values: readonly bigint[]): Tensor {
  return { type: 'int64', dims: [values.length], data: BigInt64Array.from(values) };
}
