/** Reading files of a model folder, which may come from anywhere: no links, nothing outside, nothing huge. */
import { lstat, readdir, readFile, realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { describeIssue, ShoalError } from '@shoal/contracts';
import { refuseLfsPointer } from '@shoal/onnx';
import type { z } from 'zod';
import { placeOfFault } from './json-fault.js';

/** Tokenizers of 250,000 words take about 20 MB. */
const MAX_JSON_BYTES = 128 * 1024 * 1024;

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
  const full = await regularFile(folder, path);
  if (full === null) return null;
  const { size } = await lstat(full);
  if (size > MAX_JSON_BYTES) throw invalid(`${path} has ${size} bytes; at most ${MAX_JSON_BYTES} are read`);
  return await readFile(full, 'utf8');
}

/** `path` as JSON of the given schema, or null where there is none. Errors name the file and the field. */
export async function readJson<T extends z.ZodType>(
  folder: string,
  path: string,
  schema: T,
): Promise<z.output<T> | null> {
  const text = await readText(folder, path);
  if (text === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    refuseLfsPointer(join(folder, path), path);
    throw invalid(`${path} is not valid JSON: see ${placeOfFault(text)}`, cause);
  }
  const result = schema.safeParse(value, { error: describeIssue });
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => [issue.path.join('.'), issue.message].filter(Boolean).join(': '));
  throw invalid(`${path}: ${faults.join('; ')}`);
}

function missing(error: unknown): null {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ENOTDIR') return null;
  throw error;
}
