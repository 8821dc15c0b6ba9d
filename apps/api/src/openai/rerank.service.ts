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
  ): Promise<RerankResponse | TextsRerankResponse> {
    return sendsTexts(body, face) ? this.rankTexts(call, body) : this.rankDocuments(call, body, requestId);
  }

  private async rankDocuments(call: Call, body: unknown, requestId: string): Promise<RerankResponse> {
    const { query, documents, truncate, top_n, return_documents, ...request } = parse(RerankRequest, body);
    const model = request.model ?? this.onlyModel();
    const parameters = { truncate, return_documents, ...(top_n !== undefined && { top_n }) };
    const record = await this.run(call, { model, task: TASK, input: { query, documents }, parameters });
    const results = this.outputOf(record).map(({ index, score, document }) => ({
      index,
      relevance_score: score,
      ...(document !== undefined && { document: { text: document } }),
    }));
    const { tokens } = record;
    return {
      id: requestId,
      object: 'list',
      model: record.meta.selector ?? model,
      results,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    };
  }

  private async rankTexts(call: Call, body: unknown): Promise<TextsRerankResponse> {
    const { query, texts, truncate, raw_scores, return_text, ...request } = parse(TextsRerankRequest, body);
    const model = request.model ?? this.onlyModel();
    const parameters = { truncate, return_documents: return_text, function_to_apply: raw_scores ? 'none' : 'sigmoid' };
    const record = await this.run(call, { model, task: TASK, input: { query, documents: texts }, parameters }, 'texts');
    return this.outputOf(record).map(({ index, score, document }) => ({
      index,
      score,
      ...(document !== undefined && { text: document }),
    }));
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
