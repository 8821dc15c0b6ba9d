/** A rerank call as one job, in the shape of whoever asks: `documents` (Cohere, Jina) or `texts` (text-embeddings-inference). */
import {
  type JobRecord,
  parse,
  type RerankOutput,
  RerankRequest,
  ShoalError,
  type Task,
  TextsRerankRequest,
} from '@shoal/contracts';
import { type Presenter, viewOf } from '@shoal/models';
import type { Catalog } from '../models/catalog.js';

export const RERANK_TASK: Task = 'rerank';

export interface RerankResponse {
  /** The id of the request. */
  readonly id: string;
  readonly object: 'list';
  readonly model: string;
  readonly results: readonly {
    readonly index: number;
    readonly relevance_score: number;
    readonly document?: { readonly text: string };
  }[];
  readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number };
}

export type TextsRerankResponse = readonly { readonly index: number; readonly score: number; readonly text?: string }[];

/** What was asked for. */
export interface RerankCall {
  /** The body of `POST /v1/jobs`. */
  readonly job: object;
  /** Paths of the job's fields → those of the call. */
  readonly rename: (text: string) => string;
  /** Of the job's record when it has completed; `id`: of the request. */
  readonly answer: (
    record: JobRecord,
    presenter: Presenter | undefined,
    id: string,
  ) => RerankResponse | TextsRerankResponse;
}

/**
 * Each path takes both shapes; `texts`: that of text-embeddings-inference is meant where neither list was sent, or both.
 *
 * @throws ShoalError `invalid_request`
 */
export function readRerank(body: unknown, texts: boolean, catalog: Catalog): RerankCall {
  return sendsTexts(body, texts) ? readTexts(body, catalog) : readDocuments(body, catalog);
}

function readDocuments(body: unknown, catalog: Catalog): RerankCall {
  const { query, documents, truncate, top_n, return_documents, ...request } = parse(RerankRequest, body);
  const { max_accuracy_loss } = request;
  const model = request.model ?? onlyModel(catalog);
  const parameters = { truncate, return_documents, ...(top_n !== undefined && { top_n }) };
  return {
    job: { model, task: RERANK_TASK, input: { query, documents }, parameters, max_accuracy_loss },
    rename: (text) => inTheirTerms(text, 'documents'),
    answer: (record, presenter, id) => {
      const results = outputOf(record, presenter).map(({ index, score, document }) => ({
        index,
        relevance_score: score,
        ...(document !== undefined && { document: { text: document } }),
      }));
      const { tokens, meta } = record;
      return {
        id,
        object: 'list',
        model: meta.selector ?? model,
        results,
        usage: { prompt_tokens: tokens, total_tokens: tokens },
      };
    },
  };
}

function readTexts(body: unknown, catalog: Catalog): RerankCall {
  const { query, texts, truncate, raw_scores, return_text, ...request } = parse(TextsRerankRequest, body);
  const { max_accuracy_loss } = request;
  const model = request.model ?? onlyModel(catalog);
  const parameters = { truncate, return_documents: return_text, function_to_apply: raw_scores ? 'none' : 'sigmoid' };
  return {
    job: { model, task: RERANK_TASK, input: { query, documents: texts }, parameters, max_accuracy_loss },
    rename: (text) => inTheirTerms(text, 'texts'),
    answer: (record, presenter) =>
      outputOf(record, presenter).map(({ index, score, document }) => ({
        index,
        score,
        ...(document !== undefined && { text: document }),
      })),
  };
}

function inTheirTerms(text: string, documents: string): string {
  return text.replaceAll(/\binput\.documents\b/g, documents).replaceAll(/\binput\./g, '');
}

function outputOf(record: JobRecord, presenter: Presenter | undefined): RerankOutput {
  return viewOf(record, presenter).output as RerankOutput;
}

/** Servers of one model are asked without its name. */
function onlyModel(catalog: Catalog): string {
  const names = catalog.namesOf(RERANK_TASK);
  if (names.length === 1) return names[0]!;
  const message = names.length === 0 ? 'no model that reranks is served' : `name one of ${names.join(', ')}`;
  throw new ShoalError('invalid_request', `model: ${message}`, { faults: [{ path: 'model', message }] });
}

function sendsTexts(body: unknown, otherwise: boolean): boolean {
  const { texts, documents } = (body ?? {}) as { readonly texts?: unknown; readonly documents?: unknown };
  const [hasTexts, hasDocuments] = [texts != null, documents != null];
  return hasTexts === hasDocuments ? otherwise : hasTexts;
}
