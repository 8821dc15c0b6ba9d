/** `quality.json` of a version's folder. */
import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { describeIssue, parseJsonFile, QualityJson, ShoalError, type VariantQuality } from '@shoal/contracts';

const FILE = 'quality.json';

/** Undefined where nothing was measured yet. @throws ShoalError `model_invalid` where it cannot be read */
export async function readQuality(folder: string): Promise<QualityJson | undefined> {
  const path = join(folder, FILE);
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (bytes === undefined) return undefined;
  let value: unknown;
  try {
    value = parseJsonFile(bytes);
  } catch (error) {
    throw invalid(`${path} ${(error as Error).message}`, error);
  }
  const result = QualityJson.safeParse(value, { error: describeIssue });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw invalid(`${path}: ${issue?.path.join('.')} ${issue?.message}; delete it, and measure again`);
}

/**
 * Puts what was measured of `variant` beside what is known of the others, all of them against `original`. The file is
 * replaced as a whole.
 *
 * @throws ShoalError `model_invalid` where it cannot be read, or holds what was measured against another variant
 */
export async function writeQuality(
  folder: string,
  variant: string,
  quality: VariantQuality,
  original: string,
): Promise<void> {
  const before = await readQuality(folder);
  const path = join(folder, FILE);
  if (before !== undefined && before.original !== original) {
    throw invalid(
      `${path} holds what variants lose beside ${before.original}, not ${original}: measure against that, or delete it`,
    );
  }
  const after = QualityJson.parse({ original, variants: { ...before?.variants, [variant]: quality } });
  const draft = `${path}.${randomUUID()}.tmp`;
  try {
    await writeFile(draft, `${JSON.stringify(after, null, 2)}\n`, { flag: 'wx' });
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Of a variant's ONNX file, with the file beside it that holds its weights, where it has one. */
export async function bytesOf(path: string): Promise<number> {
  const beside = await stat(`${path}.data`).catch(() => undefined);
  return (await stat(path)).size + (beside?.size ?? 0);
}

/** What figures were measured on, for people. */
export function machineOf(runtimeVersion: string, cores: number): string {
  return `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${cores} cores, ONNX Runtime ${runtimeVersion}`;
}

function invalid(message: string, cause?: unknown): ShoalError {
  return new ShoalError('model_invalid', message, { cause });
}
