/**
 * Pointers of Git LFS: what a clone without git-lfs has in place of large files, a few lines of text.
 * https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
 */
import { closeSync, lstatSync, openSync, readSync } from 'node:fs';
import { invalid } from './invalid.js';

const BEGINNING = 'version https://git-lfs.github.com/spec/v1\n';
/** They have less. */
const MAX_BYTES = 1024;

/**
 * For files that turned out not to be what they should be; `name` is what people call it.
 *
 * @throws ShoalError `model_invalid` where the file at `path` is a pointer
 */
export function refuseLfsPointer(path: string, name = path): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat?.isFile() || stat.size < BEGINNING.length || stat.size >= MAX_BYTES) return;
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(BEGINNING.length);
    readSync(file, bytes, 0, bytes.length, 0);
    if (bytes.toString('latin1') !== BEGINNING) return;
  } finally {
    closeSync(file);
  }
  throw invalid(`${name} is a Git LFS pointer, not the file: fetch it with "git lfs pull" in the clone`);
}
