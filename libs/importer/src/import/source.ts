/**
 * What is imported: a folder, or one ONNX file of it; of a GGUF file and of a decoder as ONNX a folder that is made of what lies
 * beside the weights.
 */
import { cpSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileIn, hasCheckpoint } from '../checkpoint.js';
import { type ExportDtype, findExports, usable } from '../exports/names.js';
import { generatesText, unpackDecoder } from '../exports/open-decoder.js';
import { unpackGguf } from '../gguf/open.js';
import { invalid } from '../invalid.js';
import { moduleFolders } from '../sentence/modules.js';
import { keptFiles, LICENCES } from './kept-files.js';
import { GGUF } from './open-weights.js';
import { refuseAdapter, refuseFile } from './refusals.js';
import { namesIn, onnxFilesIn, readJson } from './source-files.js';

export interface Source {
  /** As it was given. */
  readonly path: string;
  /** Of config.json, the tokenizer's files and, unless one file holds them, the weights. Its name is that of `path`. */
  readonly folder: string;
  /** Holds the weights: a GGUF file, or the ONNX file of a decoder. */
  readonly weightsFile: string | undefined;
  /** The one ONNX file of `folder` that was asked for, relative to it; undefined: all that is there. */
  readonly onnxFile?: string;
  /** The folder that was given, or that of the file. */
  readonly root: string;
  /** What was read beside the weights, relative to `root`. */
  readonly beside: readonly string[];
  /** Removes what was made. */
  close(): void;
}

const ONNX = /\.onnx$/i;

/** The part of a model that reads images. */
const PROJECTOR = /^mmproj/i;

/**
 * `dtypes` are the variants that will be made: they say which of several ONNX files fits.
 *
 * @throws ShoalError `model_invalid` for what cannot be imported, or several GGUF files in a folder
 */
export function openSource(path: string, dtypes: readonly string[] = []): Source {
  const isFile = lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
  if (isFile && GGUF.test(path))
    return unpacked({ path, root: dirname(path), weightsFile: path, beside: [] }, unpackGguf);
  if (isFile && ONNX.test(path)) return openGraph(path, dtypes);
  refuseFile(path);
  const names = namesIn(path);
  refuseAdapter(names);
  const beside = [...keptFiles(path), ...ownSettings(path)];
  if (hasCheckpoint(names)) return { path, folder: path, weightsFile: undefined, root: path, beside, close() {} };
  const onnx = onnxFilesIn(path);
  const gguf = onnx.length === 0 ? ggufOf(path, names) : undefined;
  if (gguf === undefined) return openExport({ path, root: path, beside }, onnx, dtypes);
  const licences = names.filter((name) => LICENCES.test(name) && fileIn(path, name));
  return unpacked({ path, root: path, weightsFile: gguf, beside: [...licences, ...ownSettings(path)] }, unpackGguf);
}

/** One ONNX file, with what lies beside it and describes its model, as a folder that has it alone. */
function openGraph(path: string, dtypes: readonly string[]): Source {
  const parent = dirname(path);
  // Links are refused as they are in folders.
  fileIn(parent, basename(path));
  const above = dirname(parent);
  const inOnnx = basename(parent) === 'onnx' && ['config.json', 'tokenizer.json'].some((name) => fileIn(above, name));
  const [root, onnxFile] = inOnnx ? [above, `onnx/${basename(path)}`] : [parent, basename(path)];
  const beside = [...keptFiles(root), ...ownSettings(root)];
  return openExport({ path, root, beside, onnxFile }, [onnxFile], dtypes);
}

/** `onnx` are the ONNX files to look at, relative to the root. */
function openExport(
  source: Pick<Source, 'path' | 'root' | 'beside' | 'onnxFile'>,
  onnx: readonly string[],
  dtypes: readonly string[],
): Source {
  const { root, path, beside } = source;
  const decoder = decoderOf(root, onnx, dtypes);
  if (decoder === undefined) return { ...source, folder: root, weightsFile: undefined, close() {} };
  const read = fileIn(root, 'config.json') ? [] : ['genai_config.json'].filter((name) => fileIn(root, name));
  const modules = moduleFolders(root).map((module) => `${module}/model.safetensors`);
  const all = [...beside, ...read, ...modules.filter((name) => fileIn(root, name))];
  const [config, genaiConfig] = ['config.json', 'genai_config.json'].map((name) => readJson(root, name));
  return unpacked({ path, root, weightsFile: decoder, beside: all }, (file, folder) =>
    unpackDecoder(file, { config, genaiConfig }, folder),
  );
}

/** A folder in which `unpack` writes what it has in other words, with the files beside it. */
function unpacked(
  source: Omit<Source, 'folder' | 'close' | 'weightsFile'> & { readonly weightsFile: string },
  unpack: (weightsFile: string, folder: string) => void,
): Source {
  const made = mkdtempSync(join(tmpdir(), `shoal-import-${process.pid}-`));
  const folder = join(made, basename(source.path));
  const close = () => rmSync(made, { recursive: true, force: true });
  try {
    mkdirSync(folder);
    unpack(source.weightsFile, folder);
    for (const name of source.beside) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      // What was unpacked fits the weights better.
      cpSync(join(source.root, name), join(folder, name), { force: false });
    }
    return { ...source, folder, close };
  } catch (error) {
    close();
    throw error;
  }
}

function ownSettings(folder: string): readonly string[] {
  return ['shoal.json'].filter((name) => fileIn(folder, name));
}

/** The only GGUF file of a folder. */
function ggufOf(path: string, names: readonly string[]): string | undefined {
  const files = names.filter((name) => GGUF.test(name) && !PROJECTOR.test(name) && fileIn(path, name));
  const [only, ...more] = files;
  if (more.length === 0) return only && join(path, only);
  throw invalid(
    `${path} has ${files.length} GGUF files (${files.slice(0, 5).join(', ')}): give the one to import, ${join(basename(path), files[0] ?? '')}`,
  );
}

/** Of a folder whose ONNX files are decoders: the file whose weights are taken. */
function decoderOf(path: string, onnx: readonly string[], dtypes: readonly string[]): string | undefined {
  const all = usable(findExports(onnx));
  const inBlocks = dtypes.length > 0 && dtypes.every((dtype) => /^(int4|kept)\b/.test(dtype));
  const order: readonly ExportDtype[] = inBlocks ? ['int4', 'fp32', 'fp16', 'int8'] : ['fp32', 'fp16', 'int4', 'int8'];
  const [chosen] = order.flatMap((dtype) => all.filter((file) => file.dtype === dtype));
  const file = chosen && join(path, chosen.path);
  return file !== undefined && generatesText(file) ? file : undefined;
}
