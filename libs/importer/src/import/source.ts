/** What is imported: a folder or, of a GGUF file and of a decoder as ONNX, a folder that is made of what lies beside the weights. */
import { cpSync, lstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileIn } from '../checkpoint.js';
import { type ExportDtype, findExports } from '../exports/names.js';
import { generatesText, unpackDecoder } from '../exports/open-decoder.js';
import { unpackGguf } from '../gguf/open.js';
import { invalid } from '../invalid.js';
import { GGUF } from './open-weights.js';
import { keptFiles, LICENCES, namesIn, onnxFilesIn, readJson } from './source-files.js';

export interface Source {
  /** As it was given. */
  readonly path: string;
  /** Of config.json, the tokenizer's files and, unless one file holds them, the weights. */
  readonly folder: string;
  /** Holds the weights: a GGUF file, or the ONNX file of a decoder. */
  readonly weightsFile: string | undefined;
  /** Removes what was made. */
  close(): void;
}

/** The part of a model that reads images. */
const PROJECTOR = /^mmproj/i;
const CHECKPOINT = /\.(safetensors|onnx)$/i;

/**
 * `dtypes` are the variants that will be made: they say which of several ONNX files fits.
 *
 * @throws ShoalError `model_invalid` for a file that cannot be imported, or several GGUF files in a folder
 */
export function openSource(path: string, dtypes: readonly string[] = []): Source {
  const gguf = ggufOf(path);
  if (gguf !== undefined) return unpacked(path, gguf, (folder) => unpackWithBeside(gguf, path, folder));
  const onnx = decoderOf(path, dtypes);
  if (onnx === undefined) return { path, folder: path, weightsFile: undefined, close() {} };
  const names = [...keptFiles(path, []), ...(fileIn(path, 'shoal.json') ? ['shoal.json'] : [])];
  const [config, genaiConfig] = ['config.json', 'genai_config.json'].map((name) => readJson(path, name));
  return unpacked(path, join(path, onnx), (folder) =>
    unpackDecoder(join(path, onnx), path, folder, { config, genaiConfig, names }),
  );
}

function unpacked(path: string, weightsFile: string, unpack: (folder: string) => void): Source {
  const folder = mkdtempSync(join(tmpdir(), `shoal-import-${process.pid}-`));
  const close = () => rmSync(folder, { recursive: true, force: true });
  try {
    unpack(folder);
    return { path, folder, weightsFile, close };
  } catch (error) {
    close();
    throw error;
  }
}

function unpackWithBeside(gguf: string, path: string, folder: string): void {
  unpackGguf(gguf, folder);
  if (gguf === path) return;
  const beside = namesIn(path).filter((name) => name === 'shoal.json' || LICENCES.test(name));
  for (const name of beside) if (fileIn(path, name)) cpSync(join(path, name), join(folder, name));
}

/** The file itself, or the only one of a folder that holds no other weights. */
function ggufOf(path: string): string | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isFile()) return GGUF.test(path) ? path : undefined;
  if (!stat?.isDirectory()) return undefined;
  const names = namesIn(path);
  if (names.some((name) => CHECKPOINT.test(name) || name === 'onnx')) return undefined;
  const files = names.filter((name) => GGUF.test(name) && !PROJECTOR.test(name) && fileIn(path, name));
  const [only, ...more] = files;
  if (more.length === 0) return only && join(path, only);
  throw invalid(
    `${path} has ${files.length} GGUF files (${files.slice(0, 5).join(', ')}): give the one to import, ${join(basename(path), files[0] ?? '')}`,
  );
}

/** Of a folder whose ONNX files are decoders, and that has no checkpoint: the file whose weights are taken, relative to it. */
function decoderOf(path: string, dtypes: readonly string[]): string | undefined {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) return undefined;
  if (namesIn(path).some((name) => /\.safetensors(\.index\.json)?$/i.test(name))) return undefined;
  const { files, unknown } = findExports(onnxFilesIn(path));
  const [only, ...more] = unknown;
  const all =
    files.length > 0 || only === undefined || more.length > 0 ? files : [{ path: only, dtype: 'fp32' as const }];
  const inBlocks = dtypes.length > 0 && dtypes.every((dtype) => /^(int4|kept)\b/.test(dtype));
  const order: readonly ExportDtype[] = inBlocks ? ['int4', 'fp32', 'fp16', 'int8'] : ['fp32', 'fp16', 'int4', 'int8'];
  const [chosen] = order.flatMap((dtype) => all.filter((file) => file.dtype === dtype));
  return chosen !== undefined && generatesText(join(path, chosen.path)) ? chosen.path : undefined;
}
