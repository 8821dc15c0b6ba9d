/** A full disk ends a run, whoever met it: said in one line. */
import { ShoalError } from '@shoal/contracts';

export function diskFull(folder: string, cause?: unknown): ShoalError {
  return new ShoalError(
    'internal_error',
    `no room is left on the disk of ${folder} (ENOSPC): what was half written is removed; make room, and the same command goes on`,
    { cause },
  );
}

export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}
