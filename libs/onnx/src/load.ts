/** Reads ONNX models. Weights stay in their files until somebody asks for them. */
import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { decodeModel } from './decode.js';
import { externalFilesOf, noExternalFiles } from './external-data.js';
import { invalid } from './invalid.js';
import { refuseLfsPointer } from './lfs-pointer.js';
import type { Model } from './types.js';
import { Reader } from './wire/reader.js';
import { memorySource, withFile } from './wire/source.js';

/**
 * Reads `path` and checks what it refers to; the files must stay as they are for as long as the model is used.
 *
 * @throws ShoalError `model_invalid` with what is wrong and where
 */
export function loadModel(path: string): Model {
  return readFile(path, (reader) => decodeModel(reader, externalFilesOf(dirname(path))));
}

/** What `read` makes of the file. @throws ShoalError `model_invalid` with what is wrong and where */
export function readFile<T>(path: string, read: (reader: Reader) => T): T {
  try {
    return explained(path, () => {
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (!stat?.isFile()) throw invalid(stat === undefined ? 'there is no such file' : 'it is not a regular file');
      return withFile(path, (source) => read(new Reader(source)));
    });
  } catch (error) {
    refuseLfsPointer(path);
    throw error;
  }
}

/** The same for the bytes of a model that is one file. */
export function parseModel(bytes: Uint8Array): Model {
  return explained('this', () => decodeModel(new Reader(memorySource(bytes)), noExternalFiles));
}

function explained<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const reason = error instanceof ShoalError ? error.message : 'it cannot be read';
    throw invalid(`${name} is not a usable ONNX file: ${reason}`, error);
  }
}
