/** A rerank call as one job, in the shape of whoever asks: `documents` (Cohere, Jina) or `texts` (text-embeddings-inference). */
import {
  type JobMeta,
  type JobRecord,
  parse,
  type RerankOutput,
  RerankRequest,
  ShoalError,
  type Task,
  TextsRerankRequest,
} from '@shoal/contracts';
import { viewOf } from '@shoal/models';
import type { JobsService } from '../jobs/jobs.service.js';
import type { Catalog } from '../models/catalog.js';
import type { Face } from './faces.js';
import type { Call, JobRuns } from './job-runs.js';
import { translated } from './translate.js';

const TASK: Task = 'rerank';

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

/** The answer, and what has made it. */
interface Ranked<Response> {
  readonly response: Response;
  readonly meta: JobMeta;
}

export class RerankService {
  constructor(
    private readonly runs: JobRuns,
    private readonly jobs: JobsService,
    private readonly catalog: Catalog,
  ) {}

  /** `face`: of the path, whose shape is meant where what was sent does not say. */
  async rerank(
    call: Call,
    body: unknown,
    requestId: string,
    face: Face,
  ): Promise<Ranked<RerankResponse | TextsRerankResponse>> {
    return sendsTexts(body, face) ? this.rankTexts(call, body) : this.rankDocuments(call, body, requestId);
  }

  private async rankDocuments(call: Call, body: unknown, requestId: string): Promise<Ranked<RerankResponse>> {
    const { query, documents, truncate, top_n, return_documents, ...request } = parse(RerankRequest, body);
    const { max_accuracy_loss } = request;
    const model = request.model ?? this.onlyModel();
    const parameters = { truncate, return_documents, ...(top_n !== undefined && { top_n }) };
    const job = { model, task: TASK, input: { query, documents }, parameters, max_accuracy_loss };
    const record = await this.run(call, job);
    const results = this.outputOf(record).map(({ index, score, document }) => ({
      index,
      relevance_score: score,
      ...(document !== undefined && { document: { text: document } }),
    }));
    const { tokens, meta } = record;
    const response: RerankResponse = {
      id: requestId,
      object: 'list',
      model: meta.selector ?? model,
      results,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    };
    return { response, meta };
  }

  private async rankTexts(call: Call, body: unknown): Promise<Ranked<TextsRerankResponse>> {
    const { query, texts, truncate, raw_scores, return_text, ...request } = parse(TextsRerankRequest, body);
    const model = request.model ?? this.onlyModel();
    const parameters = { truncate, return_documents: return_text, function_to_apply: raw_scores ? 'none' : 'sigmoid' };
    const { max_accuracy_loss } = request;
    const job = { model, task: TASK, input: { query, documents: texts }, parameters, max_accuracy_loss };
    const record = await this.run(call, job, 'texts');
    const response = this.outputOf(record).map(({ index, score, document }) => ({
      index,
      score,
      ...(document !== undefined && { text: document }),
    }));
    return { response, meta: record.meta };
  }

  private async run(call: Call, job: object, documents = 'documents'): Promise<JobRecord> {
    const rename = (text: string) => text.replaceAll(/\binput\.documents\b/g, documents).replaceAll(/\binput\./g, '');
    const [record] = await this.runs.run(call, [job], (refusal) => translated(refusal, TASK, this.catalog, rename));
    return record!;
  }

  private outputOf(record: JobRecord): RerankOutput {
    return viewOf(record, this.jobs.presenterOf(record)).output as RerankOutput;
  }

  /** Servers of one model are asked without its name. */
  private onlyModel(): string {
    const names = this.catalog.namesOf(TASK);
    if (names.length === 1) return names[0]!;
    const message = names.length === 0 ? 'no model that reranks is served' : `name one of ${names.join(', ')}`;
    throw new ShoalError('invalid_request', `model: ${message}`, { faults: [{ path: 'model', message }] });
  }
}

/** Each path takes both shapes; that of the path counts where neither list was sent, or both. */
function sendsTexts(body: unknown, face: Face): boolean {
  const { texts, documents } = (body ?? {}) as { readonly texts?: unknown; readonly documents?: unknown };
  const [hasTexts, hasDocuments] = [texts != null, documents != null];
  return hasTexts === hasDocuments ? face === 'texts' : hasTexts;
}
