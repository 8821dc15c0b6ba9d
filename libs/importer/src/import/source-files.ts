/** Files of the folder that is imported, which may come from anywhere: no links, nothing outside, nothing absurdly large. */
import { createHash } from 'node:crypto';
import { createReadStream, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseJsonFile } from '@shoal/contracts';
import { LARGE_JSON, MAX_JSON_BYTES } from '@shoal/models';
import { refuseLfsPointer } from '@shoal/onnx';
import { fileIn } from '../checkpoint.js';
import { invalid } from '../invalid.js';

/** Tokenizers of 250,000 words take about 20 MB. */
const MAX_SMALL_BYTES = 128 * 1024 * 1024;
/** As many as anyone could mean. */
const MAX_ENTRIES = 10_000;

/** Names in the folder, sorted. @throws ShoalError `model_invalid` where it is no folder of files */
export function namesIn(folder: string): readonly string[] {
  const names = readdirSync(folder);
  if (names.length > MAX_ENTRIES)
    throw invalid(`${folder} has more than ${MAX_ENTRIES} entries: is it a model's folder?`);
  return names.sort();
}

/** Paths of ONNX files, in the folder and in its `onnx/`. */
export function onnxFilesIn(folder: string): readonly string[] {
  const inner = lstatSync(join(folder, 'onnx'), { throwIfNoEntry: false });
  if (inner?.isSymbolicLink()) throw invalid(`${join(folder, 'onnx')} is a symbolic link: copy the folder (cp -rL)`);
  const below = inner?.isDirectory() ? namesIn(join(folder, 'onnx')).map((name) => `onnx/${name}`) : [];
  return [...namesIn(folder), ...below].filter((path) => path.toLowerCase().endsWith('.onnx') && fileIn(folder, path));
}

/** @throws ShoalError `model_invalid` where a file that is read at once is too large for that */
export function refuseHuge(folder: string, path: string): void {
  const { size } = lstatSync(join(folder, path));
  if (size > MAX_SMALL_BYTES) throw invalid(`${path} has ${size} bytes; at most ${MAX_SMALL_BYTES} are read`);
}

/** Undefined where there is no such file. @throws ShoalError `model_invalid` where it is not JSON, or too much of it */
export function readJson(folder: string, name: string): unknown {
  if (!fileIn(folder, name)) return undefined;
  const { bytes, values } = LARGE_JSON.get(name) ?? { bytes: MAX_JSON_BYTES };
  const { size } = lstatSync(join(folder, name));
  if (size > bytes) throw invalid(`${name} has ${size} bytes; at most ${bytes} are read`);
  try {
    return parseJsonFile(readFileSync(join(folder, name)), values);
  } catch (error) {
    refuseLfsPointer(join(folder, name), name);
    throw invalid(`${name} ${(error as Error).message}`, error);
  }
}

export async function copyFiles(from: string, to: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(dirname(join(to, path)), { recursive: true });
    await copyFile(join(from, path), join(to, path));
    // Whatever its owner could do with it elsewhere.
    await chmod(join(to, path), 0o644);
  }
}

/** SHA-256 in hexadecimal. */
export async function hashOf(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash, { signal });
  return hash.digest('hex');
}
