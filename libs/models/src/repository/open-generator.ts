/** One model that generates text, wherever its folder lies. */
import { lstat, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { GeneratorDetails, Model } from '../types.js';
import { invalid, list } from './files.js';
import { readFolder } from './folder.js';

export type GeneratorModel = Model & { readonly generator: GeneratorDetails };

/**
 * The variants of the model in `folder`, of whose versions the newest is taken; the default variant first.
 *
 * @throws ShoalError `model_invalid` naming what is missing or wrong
 */
export async function openGenerator(folder: string): Promise<readonly GeneratorModel[]> {
  const real = await realpath(folder);
  const number = await newestVersion(real);
  const version = number === null ? real : join(real, number);
  if (!(await lstat(version)).isDirectory()) throw invalid(`${version} is not a folder`);
  await refuseCheckpoint(version);
  const models = await readFolder(basename(real), number ?? '1', version);
  return models.map((model) => {
    const { task, generator } = model;
    if (generator !== null) return { ...model, generator };
    throw invalid(`${version} serves ${task}; "shoal run" is for models that generate text`);
  });
}

async function refuseCheckpoint(folder: string): Promise<void> {
  const names = await list(folder);
  if (names.includes('onnx') || !names.some((name) => name.endsWith('.safetensors'))) return;
  throw invalid(`${folder} is a checkpoint: "npx shoal import ${folder}" makes a model of it`);
}

async function newestVersion(folder: string): Promise<string | null> {
  const numbers = (await list(folder)).filter((name) => /^[1-9][0-9]{0,8}$/.test(name)).map(Number);
  return numbers.length === 0 ? null : String(Math.max(...numbers));
}
