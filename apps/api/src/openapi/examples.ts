/** One answer of each kind, as a reader of the document meets it first. */
import type { EventsUrlView, JobReceipt, JobSummary, JobView, ListedModel, ModelCard } from '@shoal/contracts';
import type { EmbeddingsResponse, RerankResponse, TextsRerankResponse } from '@shoal/intake';

export const JOB_ID = 'wordnet-topic.1.fp32.0.01m83zn5fqbsmkqgj7c913jd4z';
const LINKS = { self: `/v1/jobs/${JOB_ID}`, cancel: `/v1/jobs/${JOB_ID}/cancel`, events: `/v1/jobs/${JOB_ID}/events` };

const RECEIPT: JobReceipt = { id: JOB_ID, object: 'job', status: 'queued', links: LINKS };

const SUMMARY: JobSummary = {
  ...RECEIPT,
  status: 'completed',
  model: 'wordnet-topic',
  version: '1',
  variant: 'fp32',
  accuracy_loss: null,
  task: 'text-classification',
  priority: 'normal',
  created_at: '2026-01-05T09:30:00.000Z',
  started_at: '2026-01-05T09:30:00.014Z',
  ended_at: '2026-01-05T09:30:00.021Z',
  expires_at: '2026-01-06T09:30:00.021Z',
  deadline: null,
  metadata: { order: '4711' },
  webhook: null,
  items: { total: 1, done: 1, failed: 0 },
  error: null,
  usage: { input_tokens: 6 },
};

const JOB: JobView = {
  ...SUMMARY,
  output: [
    { label: 'person', score: 0.42270097 },
    { label: 'artifact', score: 0.2967109 },
  ],
  errors: [],
  timings: { queued_ms: 14, batching_ms: 0.878, running_ms: 3.806 },
  batches: [{ size: 1, padded_share: 0, closed_by: 'idle', items: 1 }],
  attempts: 1,
  queue: null,
};

const EVENTS_URL: EventsUrlView = {
  object: 'events_url',
  url: `/v1/jobs/${JOB_ID}/events?token=1767605460.c2lnbmF0dXJl`,
  expires_at: '2026-01-05T09:31:00.000Z',
};

const EMBEDDINGS: EmbeddingsResponse = {
  object: 'list',
  data: [
    { object: 'embedding', index: 0, embedding: [0.0123, -0.4567, 0.0891] },
    { object: 'embedding', index: 1, embedding: [-0.2345, 0.1234, 0.3456] },
  ],
  model: 'wordnet-embed',
  usage: { prompt_tokens: 11, total_tokens: 11 },
};

const RERANKED: RerankResponse = {
  id: 'c5f6b7a2-0f0e-4c7e-9a55-8f1d6b1f0a11',
  object: 'list',
  model: 'bge-reranker-base',
  results: [
    { index: 0, relevance_score: 0.9714 },
    { index: 1, relevance_score: 0.0021 },
  ],
  usage: { prompt_tokens: 24, total_tokens: 24 },
};

const RERANKED_TEXTS: TextsRerankResponse = [
  { index: 0, score: 0.9714 },
  { index: 1, score: 0.0021 },
];

const LISTED: ListedModel = {
  id: 'wordnet-topic',
  object: 'model',
  created: 1_767_605_400,
  owned_by: 'shoal',
  task: 'text-classification',
};

const REQUEST = { model: 'wordnet-topic', input: 'a small knob' };

const CARD: ModelCard = {
  ...LISTED,
  version: '1',
  variants: ['fp32', 'int8'],
  served: [
    { id: 'wordnet-topic@1:fp32', state: 'loaded', workers: 2, original: true },
    {
      ...{ id: 'wordnet-topic@1:int8', state: 'on_demand', workers: 0 },
      quality: {
        verdict: 'passed',
        method: 'int8',
        accuracy_loss: { metric: 'accuracy', mean: 0.0007, bound: 0.0036 },
        speeds: [{ batch: 1, tokens: 16, ratio: 1.2, low: 1.16, high: 1.25 }],
      },
    },
  ],
  joining: { rows: 'any-length', reason: null },
  limits: { max_tokens: 128, max_items: 1000, max_batch_size: null, max_batch_tokens: null },
  labels: ['person', 'artifact'],
  example: {
    request: REQUEST,
    curl: `curl -s 'https://shoal.example/v1/jobs?wait=30' -H 'content-type: application/json' -d '${JSON.stringify(REQUEST)}'`,
  },
};

export const EVENTS = `id: queued
event: job.queued
data: {"id":"${JOB_ID}","status":"queued","created_at":"2026-01-05T09:30:00.000Z"}

id: 1
event: job.output
data: {"index":0,"output":[{"label":"person","score":0.42270097}]}
`;

export const ANSWER_EXAMPLES = {
  JobReceipt: RECEIPT,
  Job: JOB,
  JobList: { object: 'list', data: [SUMMARY], has_more: true, next_cursor: 'MTc2NzYwNTQwMDAyMQ' },
  BulkAnswer: { object: 'list', data: [{ index: 0, status: 202, job: RECEIPT }], accepted: 1, refused: 0 },
  EventsUrl: EVENTS_URL,
  Embeddings: EMBEDDINGS,
  Rerank: RERANKED,
  TextsRerank: RERANKED_TEXTS,
  ModelList: { object: 'list', data: [LISTED] },
  ModelCard: CARD,
  Health: { status: 'ok' },
} as const;
