/** Reading files of a model folder, which may come from anywhere: no links, nothing outside, nothing huge. */
import { lstat, readdir, readFile, realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { describeIssue, parseJsonFile, refuseJsonFile, ShoalError } from '@shoal/contracts';
import { refuseLfsPointer } from '@shoal/onnx';
import type { z } from 'zod';

/** As much as any of them needs, but for those below: a list of 20,000 classes takes 1 MB. */
export const MAX_JSON_BYTES = 4 * 1024 * 1024;
/** Of files whose size goes with the vocabulary: bytes, and values (three for a token of some tokenizers, and for a merge). */
export const LARGE_JSON: ReadonlyMap<string, { readonly bytes: number; readonly values: number }> = new Map([
  // 260,000 tokens with 510,000 merges take 33 MB and 2 million values.
  ['tokenizer.json', { bytes: 128 * 1024 * 1024, values: 2 ** 22 }],
  // Describes each added token in 200 bytes: models of speech add tens of thousands.
  ['tokenizer_config.json', { bytes: 16 * 1024 * 1024, values: 2 ** 20 }],
]);
/** Faults of one file that are named: it may have one in each value. */
const MAX_FAULTS = 5;

export function invalid(message: string, cause?: unknown): ShoalError {
  return new ShoalError('model_invalid', message, { cause });
}

/**
 * The absolute path of the regular file `path` (relative to `folder`), or null where there is none. Throws
 * `model_invalid` where the path leaves the folder, or it or a folder on the way is a symbolic link.
 */
export async function regularFile(folder: string, path: string): Promise<string | null> {
  const full = resolve(folder, path);
  const inside = relative(folder, full);
  if (isAbsolute(path) || inside === '' || inside === '..' || inside.startsWith(`..${sep}`)) {
    throw invalid(`${JSON.stringify(path)} lies outside the model's folder`);
  }
  const stat = await lstat(full).catch(missing);
  if (stat === null) return null;
  if ((await realpath(full)) !== full) throw invalid(`${path} is or passes through a symbolic link`);
  if (!stat.isFile()) throw invalid(`${path} is not a regular file`);
  return full;
}

/** Names of the entries of `path` inside `folder`, sorted; none where it does not exist. */
export async function list(folder: string, path = '.'): Promise<readonly string[]> {
  const names = await readdir(join(folder, path)).catch(missing);
  return (names ?? []).filter((name) => !name.startsWith('.')).sort();
}

/** The text of `path`, or null where there is none. */
export async function readText(folder: string, path: string): Promise<string | null> {
  return (await readBytes(folder, path))?.toString('utf8') ?? null;
}

/** The text of a JSON file that another parser takes, or null where there is none. */
export async function readJsonText(folder: string, path: string): Promise<string | null> {
  const bytes = await readBytes(folder, path);
  if (bytes !== null) named(folder, path, () => refuseJsonFile(bytes, LARGE_JSON.get(path)?.values));
  return bytes?.toString('utf8') ?? null;
}

async function readBytes(folder: string, path: string): Promise<Buffer | null> {
  const full = await regularFile(folder, path);
  if (full === null) return null;
  const { size } = await lstat(full);
  const most = LARGE_JSON.get(path)?.bytes ?? MAX_JSON_BYTES;
  if (size > most) throw invalid(`${path} has ${size} bytes; at most ${most} are read`);
  return await readFile(full);
}

/** Faults name the file. */
function named<T>(folder: string, path: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    refuseLfsPointer(join(folder, path), path);
    throw invalid(`${path} ${(error as Error).message}`, error);
  }
}

/** `path` as JSON of the given schema, or null where there is none. Errors name the file and the field. */
export async function readJson<T extends z.ZodType>(
  folder: string,
  path: string,
  schema: T,
): Promise<z.output<T> | null> {
  const bytes = await readBytes(folder, path);
  if (bytes === null) return null;
  const value = named(folder, path, () => parseJsonFile(bytes, LARGE_JSON.get(path)?.values));
  const result = schema.safeParse(value, { error: describeIssue });
  if (result.success) return result.data;
  const faults = result.error.issues
    .slice(0, MAX_FAULTS)
    .map((issue) => [issue.path.join('.'), issue.message].filter(Boolean).join(': '));
  throw invalid(`${path}: ${faults.join('; ')}`);
}

function missing(error: unknown): null {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ENOTDIR') return null;
  throw error;
}
