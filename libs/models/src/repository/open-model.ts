/** One model of any task, wherever its folder lies. */
import { lstat, realpath, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Model } from '../types.js';
import { invalid, list } from './files.js';
import { readFolder } from './folder.js';

/** Of the versions and variants that there are; undefined: the newest, the first. */
export interface AskedModel {
  readonly version?: string | undefined;
  readonly variant?: string | undefined;
}

/**
 * The variants of the model in `folder`, the default variant first: of the version that is asked for, else of the newest that
 * has the variant that is asked for, else of the newest.
 *
 * @throws ShoalError `model_invalid` naming what is missing or wrong
 */
export async function openModel(folder: string, { version, variant }: AskedModel = {}): Promise<readonly Model[]> {
  const real = await realpath(folder);
  const all = await versionsOf(real);
  const asked = version === undefined ? all : all.filter((number) => number === version);
  if (asked.length === 0) throw invalid(`${folder} has no version ${version}, only ${all.join(', ')}`);
  let newest: readonly Model[] | undefined;
  for (const number of asked) {
    const models = await openVersion(real, number);
    newest ??= models;
    if (variant === undefined || models.some((model) => model.variant === variant)) return models;
  }
  return newest!;
}

async function openVersion(model: string, number: string): Promise<readonly Model[]> {
  // Without versions in it the folder is version 1 itself.
  const own = join(model, number);
  const version = (await stat(own).catch(() => undefined)) === undefined ? model : own;
  if (!(await lstat(version)).isDirectory()) throw invalid(`${version} is not a folder`);
  await refuseCheckpoint(version);
  return await readFolder(basename(model), number, version);
}

async function refuseCheckpoint(folder: string): Promise<void> {
  const names = await list(folder);
  if (names.includes('onnx') || !names.some((name) => name.endsWith('.safetensors'))) return;
  throw invalid(`${folder} is a checkpoint: "npx shoal import ${folder}" makes a model of it`);
}

/** Newest first. */
async function versionsOf(folder: string): Promise<readonly string[]> {
  const numbers = (await list(folder)).filter((name) => /^[1-9][0-9]{0,8}$/.test(name)).map(Number);
  return numbers.length === 0 ? ['1'] : numbers.sort((a, b) => b - a).map(String);
}
