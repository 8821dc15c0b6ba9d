/** Which ONNX files of a folder are variants of its model, and what they are called. */
import type { ShoalJson } from '@shoal/contracts';
import { invalid, list, regularFile } from './files.js';
import { reasonOfFolder } from './not-yet.js';

/** Suffixes of transformers.js and Optimum whose variant has a plainer name; any other suffix is the name. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ['', 'fp32'],
  ['quantized', 'int8'],
  ['q8', 'int8'],
  ['q4', 'int4'],
]);

/**
 * The variants by name, each with its absolute path, the default one first (no object: that would put `8` before it). From shoal.json, else every `model.onnx` and `model_<suffix>.onnx` in
 * the folder and in `onnx/`, full precision first and then by name. Throws `model_invalid`.
 */
export async function findVariants(
  folder: string,
  shoal: ShoalJson,
): Promise<readonly (readonly [name: string, path: string])[]> {
  const paths = shoal.variants === undefined ? await foundPaths(folder) : Object.entries(shoal.variants);
  if (paths.length === 0) throw invalid(await reasonOfFolder(folder));
  const first = shoal.default_variant ?? (paths.some(([name]) => name === 'fp32') ? 'fp32' : paths[0]![0]);
  if (!paths.some(([name]) => name === first)) {
    const names = paths.map(([name]) => name).join(', ');
    throw invalid(`shoal.json: default_variant: there is no variant ${first}, only ${names}`);
  }
  const variants: (readonly [name: string, path: string])[] = [];
  for (const [name, path] of [...paths].sort(([a], [b]) => Number(b === first) - Number(a === first))) {
    const file = await regularFile(folder, path);
    if (file === null) throw invalid(`shoal.json: variants.${name}: there is no file ${path}`);
    variants.push([name, file]);
  }
  return variants;
}

async function foundPaths(folder: string): Promise<(readonly [name: string, path: string])[]> {
  const found = new Map<string, string>();
  for (const prefix of ['onnx/', '']) {
    for (const file of await list(folder, prefix === '' ? '.' : prefix)) {
      const suffix = /^model(?:_([a-z0-9][a-z0-9_-]*))?\.onnx$/i.exec(file);
      if (suffix === null) continue;
      const own = (suffix[1] ?? '').toLowerCase();
      const name = NAMES.get(own) ?? own;
      // `model_int8` beside `model_quantized`: both exist, each under its own name.
      const free = found.has(name) ? own : name;
      if (free !== '' && !found.has(free)) found.set(free, `${prefix}${file}`);
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1));
}
