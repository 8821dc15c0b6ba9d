/** `quality.json` of a version's folder. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeIssue, parseJsonFile, QualityJson, ShoalError, type VariantQuality } from '@shoal/contracts';
import { QUALITY_FILE, QUALITY_LOCK } from '@shoal/models';
import { whileLocked } from '../journal/lock.js';

/** Undefined where nothing was measured yet. @throws ShoalError `model_invalid` where it cannot be read */
export async function readQuality(folder: string): Promise<QualityJson | undefined> {
  const path = join(folder, QUALITY_FILE);
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
  const advice = issue?.code === 'custom' ? '' : '; delete it, and measure again';
  throw invalid(`${path}: ${issue?.path.join('.')} ${issue?.message}${advice}`);
}

/**
 * Puts what was measured of `variant` beside what is known of the others, all of them against `original`. The file is
 * replaced as a whole, by one process at a time: what another one writes meanwhile is kept.
 *
 * @throws ShoalError `model_invalid` where it cannot be read, or holds what was measured against another variant
 */
export async function writeQuality(
  folder: string,
  variant: string,
  quality: VariantQuality,
  original: string,
): Promise<void> {
  const path = join(folder, QUALITY_FILE);
  await whileLocked(folder, QUALITY_LOCK, async (own) => {
    const before = await readQuality(folder);
    if (before !== undefined && before.original !== original) {
      throw invalid(
        `${path} holds what variants lose beside ${before.original}, not ${original}: measure against that, or delete it`,
      );
    }
    const after = QualityJson.parse({ original, variants: { ...before?.variants, [variant]: quality } });
    await writeFile(own, `${JSON.stringify(after, null, 2)}\n`, { flag: 'r+' });
    await rename(own, path);
  });
}

/** Before hours are measured for what cannot be kept then. @throws ShoalError `invalid_request` where `folder` cannot be written in */
export async function probeQuality(folder: string): Promise<void> {
  try {
    await whileLocked(folder, QUALITY_LOCK, async () => undefined);
  } catch (error) {
    if (error instanceof ShoalError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ShoalError(
      'invalid_request',
      `${join(folder, QUALITY_FILE)} cannot be written (${code ?? message}): make the folder writable, or measure in a copy of it`,
      { cause: error },
    );
  }
}

function invalid(message: string, cause?: unknown): ShoalError {
  return new ShoalError('model_invalid', message, { cause });
}
