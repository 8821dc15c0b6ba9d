/** The limits of a model's micro-batches: what shoal.json says, and for the rest what this machine was measured to do. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { type BatchLimits, calibrate, type Measurement } from '@shoal/batching';
import { type Model, type ModelRunner, measuredPass, type TunedSettings } from '@shoal/models';

const DEFAULT_MAX_BATCH_SIZE = 64;
const DEFAULT_MAX_DELAY_MS = 5;
/** Of the kept file: a change of how limits are measured makes earlier ones void. */
const FORMAT = 6;
/** A measurement takes at most about this long; its result is kept for later starts on hardware of the same kind. */
const MEASURE_MS = 3000;
/** A `tensors` item counts 64 tokens a row (libs/models): its batches are bounded by their size alone. */
const TOKENS_PER_ROW = 64;

export interface MeasureOptions {
  readonly cacheDir: string;
  readonly device: string;
  readonly deviceOptions: Readonly<Record<string, string>>;
  readonly intraOpThreads: number;
  /** Passes that run side by side, and are measured so: they share caches and memory. */
  readonly sideBySide: number;
  /** Kind and version of ONNX Runtime. */
  readonly runtime: string;
  /** What the session is made with beside its threads, and limits that were found with it; none where left out. */
  readonly tuned?: TunedSettings;
}

export interface FoundLimits {
  readonly limits: BatchLimits;
  /** What decided them; null where nothing was measured: shoal.json and the task say all. */
  readonly measured: (Measurement & { readonly kept: boolean }) | null;
}

export async function findLimits(runner: ModelRunner, options: MeasureOptions): Promise<FoundLimits> {
  const { model } = runner;
  const own = model.shoal.limits ?? {};
  const maxBatchSize = runner.joining.rows !== 'alone' ? (own.max_batch_size ?? DEFAULT_MAX_BATCH_SIZE) : 1;
  const maxDelayMs = own.max_delay_ms ?? DEFAULT_MAX_DELAY_MS;
  if (model.text === null) {
    const maxBatchTokens = own.max_batch_tokens ?? maxBatchSize * TOKENS_PER_ROW;
    return { limits: { maxBatchSize, maxBatchTokens, maxDelayMs, passTokens: maxBatchTokens }, measured: null };
  }
  const { maxTokens: maxLength } = model.text;
  const measured = await kept(model, maxBatchSize, options, () =>
    calibrate({ pass: passOf(runner, options), maxBatchSize, maxLength, budgetMs: MEASURE_MS }),
  );
  const { tuned = {} } = options;
  const passTokens = tuned.passTokens ?? measured.passTokens;
  const found = tuned.maxBatchTokens ?? measured.maxBatchTokens;
  const maxBatchTokens = own.max_batch_tokens ?? Math.max(found, maxLength);
  return { limits: { maxBatchSize, maxBatchTokens, maxDelayMs, passTokens }, measured };
}

/** What decides how large a micro-batch is best, beside the model: workers that agree in it agree in their limits. */
export function hardwareKind(options: MeasureOptions): string {
  const { device, deviceOptions, intraOpThreads, sideBySide, runtime } = options;
  const processor = [process.arch, cpus()[0]?.model, availableParallelism()];
  const { threads: _, ...tuned } = options.tuned ?? {};
  const more = Object.keys(tuned).length === 0 ? [] : [tuned];
  return digest([processor, device, deviceOptions, intraOpThreads, sideBySide, runtime, ...more]);
}

function digest(facts: unknown): string {
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16);
}

/** As many equal passes at once as run side by side under load. */
function passOf(runner: ModelRunner, { device, intraOpThreads, sideBySide }: MeasureOptions) {
  // CPU time says nothing of threads that wait for each other, and Windows counts it in 16 ms.
  const byCpuTime = device === 'cpu' && intraOpThreads === 1 && process.platform !== 'win32';
  return measuredPass(runner, { sideBySide, byCpuTime, now: () => performance.now() });
}

async function kept(
  model: Model,
  maxBatchSize: number,
  options: MeasureOptions,
  measureNow: () => Promise<Measurement>,
): Promise<Measurement & { readonly kept: boolean }> {
  const file = join(options.cacheDir, `limits-${await keyOf(model, maxBatchSize, options)}.json`);
  try {
    return { ...(JSON.parse(await readFile(file, 'utf8')) as Measurement), kept: true };
  } catch {
    const measured = await measureNow();
    // A read-only file system only costs the next start its measurement.
    await mkdir(options.cacheDir, { recursive: true })
      .then(() => writeFile(file, JSON.stringify(measured)))
      .catch(() => undefined);
    return { ...measured, kept: false };
  }
}

/** Of a model whose rows are run alone nothing larger was measured. */
async function keyOf(model: Model, maxBatchSize: number, options: MeasureOptions): Promise<string> {
  const path = model.variants[model.variant]!;
  const { size, mtimeMs } = await stat(path);
  return digest([FORMAT, path, size, mtimeMs, maxBatchSize, hardwareKind(options)]);
}
