/** What losses are counted in, by what a model does and what is known of its texts. */
import { type LossMetric, ShoalError, type Task } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import { badData } from '../data/bad-data.js';
import type { Example, Examples } from '../types.js';

type Known = Example['kind'] | 'labelled';

/** The first is what a loss is counted in unless another is asked for. */
const METRICS: Readonly<Record<Task, Partial<Record<Known, readonly LossMetric[]>>>> = {
  'text-classification': { labelled: ['accuracy', 'agreement'], text: ['agreement'] },
  'feature-extraction': {
    pair: ['recall@10', 'ndcg@10', 'cosine'],
    ranking: ['ndcg@10', 'cosine'],
    text: ['cosine'],
    labelled: ['cosine'],
  },
  rerank: { ranking: ['ndcg@10'], pair: ['ndcg@10'] },
  'token-classification': { entities: ['f1'], text: ['f1'] },
  'text-generation': { text: ['perplexity'], labelled: ['perplexity'] },
  tensors: {},
};

const WANTED: Readonly<Record<Task, string>> = {
  'text-classification': '{"text", "label"} or {"text"}',
  'feature-extraction': '{"query", "document"}, {"query", "documents"} or {"text"}',
  rerank: '{"query", "documents"} or {"query", "document"}',
  'token-classification': '{"text", "entities"} or {"text"}',
  'text-generation': '{"text"}',
  tensors: '',
};

/** What is asked of a model to know how it is measured. */
export type MeasuredModel = Pick<Model, 'task' | 'labels'> & {
  readonly text: Pick<NonNullable<Model['text']>, 'scoreFunction'> | null;
};

/** Whether a classifier may give a text several labels, or none. */
export function hasManyLabels({ task, text }: MeasuredModel): boolean {
  return task === 'text-classification' && text?.scoreFunction === 'sigmoid';
}

/** Of fewer pairs, the ten documents that count for recall are so large a share of all that nearly everything is among them. */
const LEAST_PAIRS = 50;

/**
 * What choices among candidates are made by: as the verdict, but for few pairs by the places of their documents, which tell models apart
 * that find all of them.
 *
 * @throws ShoalError as metricFor
 */
export function choosingMetric(model: MeasuredModel, examples: Examples, asked: LossMetric | undefined): LossMetric {
  const metric = metricFor(model, examples, asked);
  return metric === 'recall@10' && examples.items.length < LEAST_PAIRS ? 'ndcg@10' : metric;
}

/** @throws ShoalError `invalid_request` where such examples tell nothing of such a model, or not by this metric */
export function metricFor(
  model: MeasuredModel,
  { kind, labelled }: Examples,
  asked: LossMetric | undefined,
): LossMetric {
  const { task } = model;
  if (task === 'tensors')
    throw new ShoalError('invalid_request', 'nothing is known of what a model of tensors answers');
  if (task === 'text-classification' && model.labels.length < 2) {
    throw badData(
      'a model that gives a text one number, and no classes, is not measured yet: nothing tells how much it may differ',
    );
  }
  const all = METRICS[task][labelled ? 'labelled' : kind] ?? [];
  // One label of a text says nothing of the others that it may have.
  const metrics = hasManyLabels(model) ? all.filter((metric) => metric !== 'accuracy') : all;
  if (metrics.length === 0) throw badData(`a model of ${task} is not measured by such lines: give ${WANTED[task]}`);
  if (asked === undefined) return metrics[0]!;
  if (metrics.includes(asked)) return asked;
  throw badData(`with such lines, ${task} is measured by ${metrics.join(' or ')}, not by ${asked}`);
}
