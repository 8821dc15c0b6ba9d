/**
 * A candidate as it will be served: a model of one version with one variant, with the original's tokenizer and settings. It is
 * measured by the path that jobs take, and its graph has the name that it will have.
 */
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { type Model, openModel } from '@shoal/models';
import { servedFiles, settingsOf } from './journal/keys.js';

/** Of a variant's graph, in the folder of a version. */
export function graphFileOf(variant: string): string {
  return join('onnx', `model_${variant}.onnx`);
}

/** Where the graph of `variant` is in a candidate's folder. */
export function graphIn(folder: string, { version }: Pick<Model, 'version'>, variant: string): string {
  return join(folder, version, graphFileOf(variant));
}

/** Makes the folder, of which only the graph is missing then. */
export function prepareCandidate(folder: string, original: Model): void {
  const version = join(folder, original.version);
  mkdirSync(join(version, 'onnx'), { recursive: true });
  for (const file of servedFiles(original.folder)) {
    const target = join(version, file);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(join(original.folder, file), target);
    chmodSync(target, 0o644);
  }
  writeFileSync(join(version, 'shoal.json'), JSON.stringify(settingsOf(original)));
}

/** @throws ShoalError `model_invalid` where it could not be served */
export async function openCandidate(folder: string, version: string): Promise<Model> {
  const [model] = await openModel(folder, { version });
  if (model === undefined) throw new ShoalError('model_invalid', `${folder} holds no candidate`);
  return model;
}
