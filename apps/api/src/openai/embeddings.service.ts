/** An embeddings call: its jobs are run, on one model, and shaped to an answer. */
import type { EmbeddingsRequest, JobMeta } from '@shoal/contracts';
import {
  type Catalog,
  EMBEDDINGS_JOB_INPUTS,
  EMBEDDINGS_TASK,
  type EmbeddingsResponse,
  embeddingsAnswer,
  embeddingsJobs,
  inEmbeddingsTerms,
  readEmbeddings,
  translated,
} from '@shoal/intake';
import type { Call, JobRuns } from './job-runs.js';

export class EmbeddingsService {
  constructor(
    private readonly runs: JobRuns,
    private readonly catalog: Catalog,
  ) {}

  /** The answer, and what has made it. */
  async embed(call: Call, body: unknown): Promise<{ readonly response: EmbeddingsResponse; readonly meta: JobMeta }> {
    const asked = readEmbeddings(body);
    const isPinned = isLong(asked);
    const request = isPinned ? this.pinned(asked) : asked;
    const pinned = isPinned && asked.max_accuracy_loss > 0;
    const records = await this.runs.run({ ...call, pinned }, embeddingsJobs(request), (refusal, job) =>
      translated(refusal, EMBEDDINGS_TASK, this.catalog, (text) => inEmbeddingsTerms(text, job)),
    );
    return { response: embeddingsAnswer(request, records), meta: records[0]!.meta };
  }

  /** All vectors of one answer are of one model: it is chosen once, for all of its jobs. */
  private pinned(request: EmbeddingsRequest): EmbeddingsRequest {
    const allowed = { loss: request.max_accuracy_loss, batch: EMBEDDINGS_JOB_INPUTS, tokens: null };
    return { ...request, model: this.runs.jobs.pin(request.model, allowed), max_accuracy_loss: 0 };
  }
}

function isLong({ input }: EmbeddingsRequest): boolean {
  return Array.isArray(input) && input.length > EMBEDDINGS_JOB_INPUTS;
}
