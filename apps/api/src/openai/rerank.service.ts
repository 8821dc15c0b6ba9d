/** A rerank call: its job is run and shaped to an answer. */
import type { JobMeta } from '@shoal/contracts';
import {
  type Catalog,
  RERANK_TASK,
  type RerankResponse,
  readRerank,
  type TextsRerankResponse,
  translated,
} from '@shoal/intake';
import type { Face } from './faces.js';
import type { Call, JobRuns } from './job-runs.js';

/** The answer, and what has made it. */
interface Ranked {
  readonly response: RerankResponse | TextsRerankResponse;
  readonly meta: JobMeta;
}

export class RerankService {
  constructor(
    private readonly runs: JobRuns,
    private readonly catalog: Catalog,
  ) {}

  /** `face`: of the path, whose shape is meant where what was sent does not say. */
  async rerank(call: Call, body: unknown, requestId: string, face: Face): Promise<Ranked> {
    const { job, rename, answer } = readRerank(body, face === 'texts', this.catalog);
    const [record] = await this.runs.run(call, [job], (refusal) =>
      translated(refusal, RERANK_TASK, this.catalog, rename),
    );
    const response = answer(record!, this.runs.jobs.presenterOf(record!), requestId);
    return { response, meta: record!.meta };
  }
}
