/** An embeddings call as jobs of up to 500 inputs: split, run, shape. */
import {
  EmbeddingsRequest,
  type JobMeta,
  type JobRecord,
  type OpenAiInput,
  parse,
  type Task,
  type WireOutput,
} from '@shoal/contracts';
import { LazyList, shortestArray } from '@shoal/models';
import type { Catalog } from '../models/catalog.js';
import type { Call, JobRuns } from './job-runs.js';
import { translated } from './translate.js';

const TASK: Task = 'feature-extraction';

/** Inputs of one job: with vectors of 4,096 values, the most that the result of one job may hold. */
const JOB_INPUTS = 500;
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

export class EmbeddingsService {
  constructor(
    private readonly runs: JobRuns,
    private readonly catalog: Catalog,
  ) {}

  /** The answer, and what has made it. */
  async embed(call: Call, body: unknown): Promise<{ readonly response: EmbeddingsResponse; readonly meta: JobMeta }> {
    const asked = parse(EmbeddingsRequest, body);
    const isPinned = isLong(asked);
    const request = isPinned ? this.pinned(asked) : asked;
    const pinned = isPinned && asked.max_accuracy_loss > 0;
    const records = await this.runs.run({ ...call, pinned }, jobsOf(request), (refusal, index) =>
      translated(refusal, TASK, this.catalog, (text) => inTheirTerms(text, index * JOB_INPUTS)),
    );
    const tokens = records.reduce((sum, record) => sum + record.tokens, 0);
    const { meta } = records[0]!;
    const response: EmbeddingsResponse = {
      object: 'list',
      data: shape(request, records.flatMap(vectorsOf)),
      model: meta.selector ?? request.model,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    };
    return { response, meta };
  }

  /** All vectors of one answer are of one model: it is chosen once, for all of its jobs. */
  private pinned(request: EmbeddingsRequest): EmbeddingsRequest {
    const allowed = { loss: request.max_accuracy_loss, batch: JOB_INPUTS, tokens: null };
    return { ...request, model: this.runs.jobs.pin(request.model, allowed), max_accuracy_loss: 0 };
  }
}

function isLong({ input }: EmbeddingsRequest): boolean {
  return Array.isArray(input) && input.length > JOB_INPUTS;
}

function jobsOf({ model, input, max_accuracy_loss, dimensions, prompt_name, truncate }: EmbeddingsRequest): object[] {
  const parameters = {
    ...(dimensions !== undefined && { dimensions }),
    ...(prompt_name !== undefined && { prompt_name }),
    ...(truncate !== undefined && { truncate }),
  };
  const job = (inputs: OpenAiInput | readonly OpenAiInput[]) => ({
    model,
    task: TASK,
    input: inputs,
    parameters,
    max_accuracy_loss,
  });
  if (!Array.isArray(input)) return [job(input)];
  const jobs: object[] = [];
  for (let from = 0; from < input.length; from += JOB_INPUTS) jobs.push(job(input.slice(from, from + JOB_INPUTS)));
  return jobs;
}

/** OpenAI's token arrays are lists of numbers, a job's are `{tokens}`; and a job's inputs count from its own first. */
function inTheirTerms(text: string, offset: number): string {
  return text
    .replaceAll(/\binput\[(\d+)\]/g, (_, index: string) => `input[${Number(index) + offset}]`)
    .replaceAll(/\.tokens\b/g, '');
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
