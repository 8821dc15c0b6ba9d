/** Files of the folder that is imported, which may come from anywhere: no links, nothing outside, nothing absurdly large. */
import { createHash } from 'node:crypto';
import { createReadStream, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileIn } from '../checkpoint.js';
import { invalid } from '../invalid.js';

/** Tokenizers of 250,000 words take about 20 MB. */
const MAX_SMALL_BYTES = 128 * 1024 * 1024;
/** As many as anyone could mean. */
const MAX_ENTRIES = 10_000;

/** Beside the weights: what serving needs, and what the licence asks for. */
const KEPT: readonly string[] = [
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'generation_config.json',
  'chat_template.jinja',
  'modules.json',
  'config_sentence_transformers.json',
];
/** Of sentence-transformers: called after the kind of transformer in older versions. */
const SENTENCE_CONFIG = /^sentence_[\w-]+_config\.json$/;
export const LICENCES = /^(LICEN[CS]E|NOTICE|COPYING)[\w.-]*$/i;

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

/**
 * Paths of what goes with the model, relative to the folder: of each of `modules` (folders of sentence-transformers) its
 * config.json too. @throws ShoalError `model_invalid` for links and huge files
 */
export function keptFiles(folder: string, modules: readonly string[]): readonly string[] {
  const names = namesIn(folder);
  const wanted = [
    ...names.filter((name) => KEPT.includes(name) || SENTENCE_CONFIG.test(name) || LICENCES.test(name)),
    ...modules.map((path) => `${path}/config.json`),
  ];
  return wanted.filter((path) => {
    if (!fileIn(folder, path)) return false;
    const { size } = lstatSync(join(folder, path));
    if (size > MAX_SMALL_BYTES) throw invalid(`${path} has ${size} bytes; at most ${MAX_SMALL_BYTES} are read`);
    return true;
  });
}

/** Undefined where there is no such file. @throws ShoalError `model_invalid` where it is not JSON */
export function readJson(folder: string, name: string): unknown {
  if (!fileIn(folder, name)) return undefined;
  const { size } = lstatSync(join(folder, name));
  if (size > MAX_SMALL_BYTES) throw invalid(`${name} has ${size} bytes; at most ${MAX_SMALL_BYTES} are read`);
  try {
    return JSON.parse(readFileSync(join(folder, name), 'utf8'));
  } catch (error) {
    throw invalid(`${name} is not valid JSON`, error);
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
