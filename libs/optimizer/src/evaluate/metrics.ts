/** What losses are counted in, by what a model does and what is known of its texts. */
import { type LossMetric, ShoalError, type Task } from '@shoal/contracts';
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

/** @throws ShoalError `invalid_request` where such examples tell nothing of such a model, or not by this metric */
export function metricFor(task: Task, { kind, labelled }: Examples, asked: LossMetric | undefined): LossMetric {
  if (task === 'tensors')
    throw new ShoalError('invalid_request', 'nothing is known of what a model of tensors answers');
  const metrics = METRICS[task][labelled ? 'labelled' : kind] ?? [];
  if (metrics.length === 0) throw badData(`a model of ${task} is not measured by such lines: give ${WANTED[task]}`);
  if (asked === undefined) return metrics[0]!;
  if (metrics.includes(asked)) return asked;
  throw badData(`a model of ${task} is measured by such lines as ${metrics.join(' or ')}, not as ${asked}`);
}
