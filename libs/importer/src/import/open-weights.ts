/** Where the weights of a model are: in the safetensors of its folder, or in one file of another form. */
import { dirname, join } from 'node:path';
import { readSignature } from '@shoal/onnx';
import { type Checkpoint, openCheckpoint } from '../checkpoint.js';
import { openDecoder } from '../exports/open-decoder.js';
import { openGguf } from '../gguf/open.js';

export const GGUF = /\.gguf$/i;

/**
 * `config` is the config.json of `folder`; `weightsFile` a GGUF file or the ONNX file of a decoder, undefined for safetensors.
 *
 * @throws ShoalError `model_invalid` with what is missing, wrong or not supported
 */
export function openWeights(folder: string, weightsFile: string | undefined, config: unknown): Checkpoint {
  if (weightsFile === undefined) return openCheckpoint(folder, config);
  return GGUF.test(weightsFile) ? openGguf(weightsFile) : openDecoder(weightsFile, config);
}

/** A file and those that hold numbers for it. */
export function partsOf(weightsFile: string): readonly string[] {
  if (GGUF.test(weightsFile)) return [weightsFile];
  const { externalFiles } = readSignature(weightsFile);
  return [weightsFile, ...externalFiles.map((file) => join(dirname(weightsFile), file))];
}
