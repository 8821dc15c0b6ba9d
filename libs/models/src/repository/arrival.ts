/**
 * Whether all of a version's folder has come, as far as the folder says what belongs to it: `source.json`, which
 * `shoal import` writes, lists files and variants, `modules.json` of sentence-transformers what does the pooling. A model that is
 * read without one of them would be served all the same, and answer otherwise.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson } from './files.js';
import { isServedFile } from './served-files.js';

export interface Arrival {
  /** The first of the files that the folder names and that is not there, relative to it. */
  readonly missing: { readonly path: string; readonly namedBy: string } | undefined;
  /** The folder lists all of its files, and they are there. */
  readonly isWhole: boolean;
}

const SOURCE = 'source.json';
const Source = z.object({ variants: z.array(z.string()).min(1), sha256: z.record(z.string(), z.string()) });
const MODULES = 'modules.json';
const Modules = z.array(z.object({ path: z.string(), type: z.string() })).max(32);

/** Says nothing of files that are broken: who reads them does. */
export async function arrivalOf(folder: string): Promise<Arrival> {
  const source = await readJson(folder, SOURCE, Source).catch(() => null);
  const modules = (await readJson(folder, MODULES, Modules).catch(() => null)) ?? [];
  const poolings = modules.filter(({ type }) => type.split('.').at(-1) === 'Pooling');
  const named = [
    ...Object.keys(source?.sha256 ?? {}).map((path) => ({ path, namedBy: SOURCE })),
    ...poolings.map(({ path }) => ({ path: `${path}/config.json`, namedBy: MODULES })),
  ];
  // Others were read when the version was made, as the weights of its checkpoint.
  for (const file of named.filter(({ path }) => isServedFile(path))) {
    if (!(await isThere(folder, file.path))) return { missing: file, isWhole: false };
  }
  const made = source?.variants.map((name) => `onnx/${name === 'fp32' ? 'model' : `model_${name}`}.onnx`) ?? [];
  const rest = await Promise.all([...made, 'shoal.json'].map((path) => isThere(folder, path)));
  // A variant that is gone was removed, or has not come yet.
  return { missing: undefined, isWhole: source !== null && rest.every(Boolean) };
}

async function isThere(folder: string, path: string): Promise<boolean> {
  return await lstat(join(folder, path)).then(
    () => true,
    () => false,
  );
}
