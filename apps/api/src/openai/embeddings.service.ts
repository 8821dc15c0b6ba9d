/** An embeddings call as a job: submit, wait, shape. Nobody else knows the job, so it does not outlive the call. */

import {
  EmbeddingsRequest,
  isTerminal,
  type JobError,
  type JobRecord,
  parse,
  ShoalError,
  type Task,
  type WireOutput,
} from '@shoal/contracts';
import { shortestArray } from '@shoal/models';
import type { Tenant } from '@shoal/queue';
import type { Logger } from '@shoal/telemetry';
import type { Permit } from '../http/permit.js';
import type { JobsService } from '../jobs/jobs.service.js';

const TASK: Task = 'feature-extraction';

export interface EmbeddingsResponse {
  readonly object: 'list';
  readonly data: readonly {
    readonly object: 'embedding';
    readonly index: number;
    readonly embedding: string | readonly number[];
  }[];
  readonly model: string;
  readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number };
}

export class EmbeddingsService {
  constructor(
    private readonly jobs: JobsService,
    private readonly timeoutMs: number,
    private readonly logger: Logger,
  ) {}

  /** `signal` aborts when the caller hangs up; the job is cancelled then, as when the time is over. */
  async embed(permit: Permit, body: unknown, signal: AbortSignal, trace?: string): Promise<EmbeddingsResponse> {
    const { tenant } = permit;
    const request = parse(EmbeddingsRequest, body);
    const { id } = await this.jobs
      .submit(permit, { body: this.toJob(request), trace }, { watch: true })
      .catch(throwInTheirTerms);
    const waited = await this.jobs.store.wait(tenant.name, id, this.timeoutMs, signal);
    const record = isTerminal(waited.state) ? waited : await this.jobs.store.cancel(tenant.name, id);
    if (record.state === 'completed') this.erase(tenant, id);
    return { object: 'list', data: shape(request, vectorsOf(record)), model: request.model, usage: usageOf(record) };
  }

  private toJob({ model, input, dimensions }: EmbeddingsRequest) {
    return {
      model,
      task: TASK,
      input: toTextInput(input),
      ...(dimensions !== undefined && { parameters: { dimensions } }),
      // Should this process end, the job ends as well.
      deadline: this.timeoutMs / 1000,
    };
  }

  private erase(tenant: Tenant, id: string): void {
    this.jobs.store.remove(tenant.name, id).catch((error: unknown) => {
      this.logger.debug('embeddings.not_erased', { job: id }, error);
    });
  }
}

/** OpenAI's token arrays are lists of numbers; a job's are `{tokens}`. */
function toTextInput(input: EmbeddingsRequest['input']): unknown {
  if (typeof input === 'string') return input;
  if (typeof input[0] === 'number') return { tokens: input };
  return input.map((entry) => (typeof entry === 'string' ? entry : { tokens: entry }));
}

function vectorsOf(record: JobRecord): Float32Array[] {
  if (record.error) throw toShoalError(record.error);
  if (record.state !== 'completed') throw new ShoalError('wait_timeout', 'The embeddings were not ready in time.');
  return record.results.map((result) => {
    if (result?.error) throw toShoalError(result.error);
    return vectorOf(result?.output);
  });
}

function vectorOf(output: WireOutput | undefined): Float32Array {
  if (output?.kind !== 'vector') throw new Error('a feature-extraction job has an output that is no vector');
  return output.values;
}

/** The job was cancelled or expired because this call's time was over: that is what the caller is told. */
function toShoalError({ code, detail }: JobError): ShoalError {
  if (code !== 'cancelled' && code !== 'expired') return new ShoalError(code, detail);
  return new ShoalError('wait_timeout', 'The embeddings were not ready in time and have been cancelled.');
}

function shape({ encoding_format }: EmbeddingsRequest, vectors: readonly Float32Array[]) {
  const encode = encoding_format === 'base64' ? toBase64 : (vector: Float32Array) => shortestArray(vector);
  return vectors.map((vector, index) => ({ object: 'embedding' as const, index, embedding: encode(vector) }));
}

/** Little-endian float32, as every machine that Node runs on keeps them. */
function toBase64({ buffer, byteOffset, byteLength }: Float32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64');
}

function usageOf({ tokens }: JobRecord): EmbeddingsResponse['usage'] {
  return { prompt_tokens: tokens, total_tokens: tokens };
}

/** Faults of the job that the caller never wrote, by the names the caller knows: `parameters.dimensions` is `dimensions`. */
function throwInTheirTerms(error: unknown): never {
  if (!(error instanceof ShoalError) || error.faults.length === 0) throw error;
  const rename = (text: string) => text.replaceAll(/\bparameters\./g, '').replaceAll(/\.tokens\b/g, '');
  const faults = error.faults.map(({ path, message }) => ({ path: rename(path), message }));
  throw new ShoalError(error.code, rename(error.message), { faults, cause: error });
}
