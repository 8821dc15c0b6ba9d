/** A call of `/v1/embeddings` as jobs of up to 500 inputs, and what became of them as its answer. */
import {
  EmbeddingsRequest,
  type JobRecord,
  type OpenAiInput,
  parse,
  type Task,
  type WireOutput,
} from '@shoal/contracts';
import { LazyList, shortestArray } from '@shoal/models';

export const EMBEDDINGS_TASK: Task = 'feature-extraction';

/** Inputs of one job: with vectors of 4,096 values, the most that the result of one job may hold. */
export const EMBEDDINGS_JOB_INPUTS = 500;
/** Embeddings that are made and written at once. */
const FEW = 16;

export interface EmbeddingsResponse {
  readonly object: 'list';
  /** An array where they are few. */
  readonly data: Iterable<{
    readonly object: 'embedding';
    readonly index: number;
    readonly embedding: string | readonly number[];
  }>;
  readonly model: string;
  readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number };
}

/** @throws ShoalError `invalid_request` */
export function readEmbeddings(body: unknown): EmbeddingsRequest {
  return parse(EmbeddingsRequest, body);
}

/** The bodies of `POST /v1/jobs`. */
export function embeddingsJobs(request: EmbeddingsRequest): object[] {
  const { model, input, max_accuracy_loss, dimensions, prompt_name, truncate } = request;
  const parameters = {
    ...(dimensions !== undefined && { dimensions }),
    ...(prompt_name !== undefined && { prompt_name }),
    ...(truncate !== undefined && { truncate }),
  };
  const job = (inputs: OpenAiInput | readonly OpenAiInput[]) => ({
    model,
    task: EMBEDDINGS_TASK,
    input: inputs,
    parameters,
    max_accuracy_loss,
  });
  if (!Array.isArray(input)) return [job(input)];
  const jobs: object[] = [];
  for (let from = 0; from < input.length; from += EMBEDDINGS_JOB_INPUTS) {
    jobs.push(job(input.slice(from, from + EMBEDDINGS_JOB_INPUTS)));
  }
  return jobs;
}

/** Paths of a job's fields → those of the call. OpenAI's token arrays are lists of numbers, a job's are `{tokens}`. */
export function inEmbeddingsTerms(text: string, job: number): string {
  return text
    .replaceAll(/\binput\[(\d+)\]/g, (_, index: string) => `input[${Number(index) + job * EMBEDDINGS_JOB_INPUTS}]`)
    .replaceAll(/\.tokens\b/g, '');
}

/** `records`: of its jobs, all completed, in order. */
export function embeddingsAnswer(request: EmbeddingsRequest, records: readonly JobRecord[]): EmbeddingsResponse {
  const tokens = records.reduce((sum, record) => sum + record.tokens, 0);
  return {
    object: 'list',
    data: shape(request, records.flatMap(vectorsOf)),
    model: records[0]!.meta.selector ?? request.model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

function vectorsOf({ results }: JobRecord): Float32Array[] {
  return results.map((result) => vectorOf(result?.output));
}

function vectorOf(output: WireOutput | undefined): Float32Array {
  if (output?.kind !== 'vector') throw new Error('a feature-extraction job has an output that is no vector');
  return output.values;
}

function shape({ encoding_format }: EmbeddingsRequest, vectors: readonly Float32Array[]) {
  const encode = encoding_format === 'base64' ? toBase64 : (vector: Float32Array) => shortestArray(vector);
  const data = LazyList.of(vectors.length, (index) => ({
    object: 'embedding' as const,
    index,
    embedding: encode(vectors[index]!),
  }));
  return vectors.length > FEW ? data : [...data];
}

/** Little-endian float32, as every machine that Node runs on keeps them. */
function toBase64({ buffer, byteOffset, byteLength }: Float32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64');
}
