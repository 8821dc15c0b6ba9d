/** One random checkpoint in the shapes of SmolLM-135M, as each contestant reads it. Written where it is not there yet. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '@shoal/importer';
import { saveModel } from '@shoal/onnx';
import { plainDecoder } from '../plain-decoder.js';
import { configOf, type LlamaShape, makeCheckpoint } from '../random-llama.js';
import { ROOT } from '../root.js';
import { writeLlamaGguf } from './llama-gguf.js';

export interface GenerationModels {
  /** Shoal's models, one for each block size. */
  readonly folder: string;
  readonly int4: string;
  readonly int4b128: string;
  readonly q4: string;
  readonly q8: string;
  readonly hub: string;
}

export const VARIANTS = { int4: 'int4', int4b128: 'int4-b128' } as const;

export async function makeGenerationModels(size: string, shape: LlamaShape): Promise<GenerationModels> {
  const base = join(ROOT, '.shoal/bench/generation', size);
  mkdirSync(base, { recursive: true });
  const source = join(base, 'checkpoint');
  makeCheckpoint(source, shape);
  const folder = join(base, 'models');
  for (const dtype of Object.values(VARIANTS)) await importOnce(source, folder, dtype);
  const onnx = (dtype: string) => join(folder, nameOf(dtype), `1/onnx/model_${dtype}.onnx`);
  const checkpoint = openCheckpoint(source);
  const gguf = (type: 'q4_0' | 'q8_0') => {
    const path = join(base, `${type}.gguf`);
    if (!existsSync(path)) writeLlamaGguf(path, checkpoint, shape, type);
    return path;
  };
  const hub = join(base, 'hub');
  await makeFolder(hub, (unfinished) => {
    mkdirSync(join(unfinished, 'onnx'));
    writeFileSync(join(unfinished, 'config.json'), JSON.stringify(configOf(shape)));
    saveModel(plainDecoder(checkpoint, shape, 'hub'), join(unfinished, 'onnx/model_q4.onnx'));
  });
  return {
    ...{ folder, hub, q4: gguf('q4_0'), q8: gguf('q8_0') },
    ...{ int4: onnx(VARIANTS.int4), int4b128: onnx(VARIANTS.int4b128) },
  };
}

/** Of the model folder of a variant. */
export function nameOf(dtype: string): string {
  return `random-${dtype}`;
}

async function importOnce(source: string, folder: string, dtype: string): Promise<void> {
  if (existsSync(join(folder, nameOf(dtype)))) return;
  const args = ['import', source, '--name', nameOf(dtype), '--to', folder, '--dtype', dtype];
  const child = spawn(process.execPath, [join(ROOT, 'apps/cli/bin/shoal.mjs'), ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`shoal import to ${dtype} failed`);
}

/** A folder is there as a whole or not at all. */
async function makeFolder(folder: string, fill: (unfinished: string) => void): Promise<void> {
  if (existsSync(folder)) return;
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished);
  fill(unfinished);
  renameSync(unfinished, folder);
}
