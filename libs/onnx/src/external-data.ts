/**
 * Weights outside the model's file (onnx.ai: "External data"). The file says where, and files come from strangers: what it
 * names must be a regular file of the model's own folder, reached by no link, and the bytes must be in it.
 */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { invalid } from './invalid.js';
import { refuseLfsPointer } from './lfs-pointer.js';
import { fileData, type TensorData } from './tensor-data.js';

export interface ExternalFiles {
  /** `entries` are the tensor's; `expected` bytes are wanted. @throws ShoalError `model_invalid` */
  read(entries: ReadonlyMap<string, string>, expected: number, what: string): TensorData;
  /** For tensors within what is kept as it is: functions and sparse tensors. */
  readonly kept: ExternalFiles;
}

/** Others are refused: onnx let unknown ones set attributes of its own objects once (CVE-2026-34445). */
const KEYS = new Set(['location', 'offset', 'length', 'checksum']);

/** Refuses all of them. */
function refuse(reason: string): ExternalFiles {
  return {
    read(_entries, _expected, what) {
      throw invalid(`${what} has its data in another file, ${reason}`);
    },
    get kept() {
      return this;
    },
  };
}

/** For models that are only in memory. */
export const noExternalFiles = refuse('which a model in memory cannot have');

const notWithinKept = refuse('and is part of a function or a sparse tensor: they cannot be moved');

/** Of a model in `folder`. */
export function externalFilesOf(folder: string): ExternalFiles {
  return {
    read(entries, expected, what) {
      const unknown = [...entries.keys()].find((key) => !KEYS.has(key));
      if (unknown !== undefined) throw invalid(`the external data of ${what} has the unknown key ${unknown}`);
      const path = locate(folder, entries.get('location') ?? '', what);
      const { size } = lstatSync(path);
      const offset = numberOf(entries.get('offset') ?? '0', `the offset of ${what}`);
      const length = numberOf(entries.get('length') ?? String(size - offset), `the length of ${what}`);
      if (offset + length > size || length !== expected) refuseLfsPointer(path);
      if (offset + length > size) {
        throw invalid(`${what} needs bytes ${offset} to ${offset + length} of ${path}, which has ${size}`);
      }
      if (length !== expected) throw invalid(`${what} has ${length} bytes where its type and shape need ${expected}`);
      return fileData(path, offset, length);
    },
    kept: notWithinKept,
  };
}

/** Reads nothing, and notes what is named, unchecked as it stands in the file, and how many bytes that must have at least. */
export function notedExternalFiles(locations: Map<string, number>): ExternalFiles {
  return {
    read(entries, expected, what) {
      const location = entries.get('location') ?? '';
      const end = numberOf(entries.get('offset') ?? '0', `the offset of ${what}`) + expected;
      locations.set(location, Math.max(end, locations.get(location) ?? 0));
      const never = () => {
        throw new Error('this model was read for its signature');
      };
      return { byteLength: expected, bytes: never, chunks: never };
    },
    get kept() {
      return this;
    },
  };
}

function locate(folder: string, location: string, what: string): string {
  const parts = location.split('/');
  // A marker of ONNX Runtime's own, `*/_ORT_MEM_ADDR_/*`, makes it read any address of the process.
  if (location.includes('_ORT_MEM_ADDR_')) throw invalid(`${what} names a memory address as its data`);
  if (/^[a-z]:/i.test(location) || /[\\\0]/.test(location) || parts.some((part) => ['', '.', '..'].includes(part))) {
    throw invalid(
      `${what} has its data at ${JSON.stringify(location.slice(0, 200))}: it must be a path within the model's folder`,
    );
  }
  let path = folder;
  for (const [n, part] of parts.entries()) {
    path = join(path, part);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) throw invalid(`the data of ${what} is missing: there is no file ${path}`);
    if (stat.isSymbolicLink()) throw invalid(`${path} is a symbolic link: copy the folder with its targets (cp -rL)`);
    if (n < parts.length - 1) continue;
    if (!stat.isFile()) throw invalid(`${path} is not a regular file`);
    if (stat.nlink > 1) throw invalid(`${path} has other names (hard links): copy it, so that it is the folder's own`);
  }
  return path;
}

function numberOf(text: string, what: string): number {
  if (!/^\d{1,15}$/.test(text)) throw invalid(`${what} is ${JSON.stringify(text.slice(0, 40))}, not a number of bytes`);
  return Number(text);
}
