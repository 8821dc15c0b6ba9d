/** The limits of a model's micro-batches: what shoal.json says, and for the rest what this machine was measured to do. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { type BatchLimits, calibrate, type Measurement } from '@shoal/batching';
import type { TextItem } from '@shoal/contracts';
import type { Model, ModelRunner, Row } from '@shoal/models';

const DEFAULT_MAX_BATCH_SIZE = 64;
const DEFAULT_MAX_DELAY_MS = 5;
/** Of the kept file: a change of how limits are measured makes earlier ones void. */
const FORMAT = 5;
/** A measurement takes at most about this long; its result is kept for later starts. */
const MEASURE_MS = 1500;
/** A `tensors` item counts 64 tokens a row (libs/models): its batches are bounded by their size alone. */
const TOKENS_PER_ROW = 64;

export interface MeasureOptions {
  readonly cacheDir: string;
  /** What the result depends on beside the model and the processor. */
  readonly device: string;
  readonly deviceOptions: Readonly<Record<string, string>>;
  readonly intraOpThreads: number;
}

/** The limits, and tokens a second of one forward pass after the other; null where they were not measured. */
export type MeasuredLimits = BatchLimits & { readonly tokensPerSecond: number | null };

export async function findLimits(runner: ModelRunner, options: MeasureOptions): Promise<MeasuredLimits> {
  const { model } = runner;
  const own = model.shoal.limits ?? {};
  const maxBatchSize = runner.joining.rows !== 'alone' ? (own.max_batch_size ?? DEFAULT_MAX_BATCH_SIZE) : 1;
  const maxDelayMs = own.max_delay_ms ?? DEFAULT_MAX_DELAY_MS;
  if (model.text === null) {
    const maxBatchTokens = own.max_batch_tokens ?? maxBatchSize * TOKENS_PER_ROW;
    return { maxBatchSize, maxBatchTokens, maxDelayMs, passTokens: maxBatchTokens, tokensPerSecond: null };
  }
  const measured = await cached(model, options, () => measure(runner, maxBatchSize, model.text!.maxTokens));
  return {
    maxBatchSize,
    maxBatchTokens: own.max_batch_tokens ?? measured.maxBatchTokens,
    maxDelayMs,
    passTokens: measured.passTokens,
    tokensPerSecond: measured.tokensPerSecond,
  };
}

async function measure(runner: ModelRunner, maxBatchSize: number, maxLength: number): Promise<Measurement> {
  const pass = async (size: number, length: number) => {
    const rows = Array.from({ length: size }, (_, n) => syntheticRow(runner.model, length, n));
    const started = performance.now();
    const failure = (await runner.run(rows)).find((output) => output instanceof Error);
    if (failure) throw failure;
    return performance.now() - started;
  };
  return calibrate({ pass, maxBatchSize, maxLength, budgetMs: MEASURE_MS });
}

function syntheticRow(model: Model, length: number, n: number): Row {
  const vocabulary = model.text?.vocabSize ?? 100;
  const ids = Uint32Array.from({ length }, (_, i) => (7 * (i + n) + 1) % vocabulary);
  const item: TextItem = {
    kind: 'text',
    ids,
    // Token classification cuts words from the text by these.
    text: 'x',
    offsets: new Uint32Array(2 * length),
    words: new Int32Array(length).fill(-1),
  };
  return { item, parameters: {} };
}

async function cached(
  model: Model,
  options: MeasureOptions,
  measureNow: () => Promise<Measurement>,
): Promise<Measurement> {
  const file = join(options.cacheDir, `limits-${await keyOf(model, options)}.json`);
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Measurement;
  } catch {
    const measured = await measureNow();
    // A read-only file system only costs the next start a second.
    await mkdir(options.cacheDir, { recursive: true })
      .then(() => writeFile(file, JSON.stringify(measured)))
      .catch(() => undefined);
    return measured;
  }
}

async function keyOf(model: Model, { device, deviceOptions, intraOpThreads }: MeasureOptions): Promise<string> {
  const path = model.variants[model.variant]!;
  const { size, mtimeMs } = await stat(path);
  const facts = [
    FORMAT,
    path,
    size,
    mtimeMs,
    device,
    deviceOptions,
    intraOpThreads,
    cpus()[0]?.model,
    model.shoal.limits?.max_batch_size,
  ];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16);
}
