/** What a file system says, in words for who runs it. */
import { ShoalError } from '@shoal/contracts';
import { full, unavailable } from '../failures.js';

const FULL = ['ENOSPC', 'EDQUOT'];

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'has lost its folder',
  ENOTDIR: 'has something else in the place of a folder',
  ELOOP: 'has a link in the place of a file',
  EACCES: 'may not use its folder',
  EPERM: 'may not use its folder',
  EROFS: 'has a folder that can only be read',
  EIO: 'has a disk that fails',
  ESTALE: 'has lost the network disk of its folder',
  EMFILE: 'cannot open more files',
  ENFILE: 'cannot open more files',
};

/** What is no error of a file system passes. */
export function explainDisk(error: unknown): unknown {
  const code = codeOf(error);
  if (code === undefined || error instanceof ShoalError) return error;
  if (FULL.includes(code)) return full(`has no more room (${code})`, error);
  return unavailable(`${WORDS[code] ?? 'cannot use its folder'} (${code})`, error);
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** `promise`, or undefined where it fails of one of these. */
export async function unless<T>(codes: readonly string[], promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (codes.includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}
