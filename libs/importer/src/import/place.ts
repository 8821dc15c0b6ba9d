/** A version that was made takes its place among the models, which another import may have taken meanwhile. */
import { mkdir, readdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { invalid } from '../invalid.js';

/** Of a rename to a folder that is there and not empty. */
const TAKEN: ReadonlySet<unknown> = new Set(['ENOTEMPTY', 'EEXIST']);

/** `force`: a version that is there may be replaced. @throws ShoalError `model_invalid` saying what is in the way, and what to do */
export async function refuseTaken(target: string, force: boolean): Promise<void> {
  const model = dirname(target);
  const there = await readdir(model).catch(() => []);
  if (there.some((file) => file.endsWith('.onnx') || file === 'onnx')) {
    throw invalid(
      `${model} holds a model itself, without a folder for its version: move it into ${join(model, '1')} first`,
    );
  }
  const versions = there.filter((file) => /^[1-9]\d*$/.test(file)).map(Number);
  if (force || !versions.includes(Number(basename(target)))) return;
  const next = Math.max(...versions) + 1;
  throw invalid(`${target} is there: --version ${next} adds a version beside it, --force replaces it`);
}

/**
 * Renames the folder `version` to `target`. One that is replaced goes into `draft`, and is out of the way for as long as one
 * rename takes. @throws as refuseTaken
 */
export async function placeVersion(
  version: string,
  target: string,
  { draft, force }: { readonly draft: string; readonly force: boolean },
): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  // Others that replace it as well may be sooner, again and again; each of them ends.
  for (let n = 0; ; n++) {
    await refuseTaken(target, force);
    if (force) await rename(target, join(draft, `replaced-${n}`)).catch(unlessMissing);
    try {
      return await rename(version, target);
    } catch (error) {
      if (!TAKEN.has((error as NodeJS.ErrnoException).code)) throw error;
    }
  }
}

function unlessMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
