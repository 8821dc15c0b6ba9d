/** What is imported: a folder or a GGUF file, of which a folder is made that holds what it says beside its weights. */
import { cpSync, lstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileIn } from '../checkpoint.js';
import { unpackGguf } from '../gguf/open.js';
import { invalid } from '../invalid.js';
import { LICENCES, namesIn } from './source-files.js';

export interface Source {
  /** As it was given. */
  readonly path: string;
  /** Of config.json, the tokenizer's files and, unless there is a GGUF file, the weights. */
  readonly folder: string;
  /** Holds the weights. */
  readonly gguf: string | undefined;
  /** Removes what was made. */
  close(): void;
}

const GGUF = /\.gguf$/i;
/** The part of a model that reads images. */
const PROJECTOR = /^mmproj/i;
const CHECKPOINT = /\.(safetensors|onnx)$/i;

/** @throws ShoalError `model_invalid` for a GGUF file that cannot be imported, or several in a folder */
export function openSource(path: string): Source {
  const gguf = ggufOf(path);
  if (gguf === undefined) return { path, folder: path, gguf, close() {} };
  const folder = mkdtempSync(join(tmpdir(), `shoal-gguf-${process.pid}-`));
  const close = () => rmSync(folder, { recursive: true, force: true });
  try {
    unpackGguf(gguf, folder);
    if (gguf !== path) {
      const beside = namesIn(path).filter((name) => name === 'shoal.json' || LICENCES.test(name));
      for (const name of beside) if (fileIn(path, name)) cpSync(join(path, name), join(folder, name));
    }
    return { path, folder, gguf, close };
  } catch (error) {
    close();
    throw error;
  }
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
