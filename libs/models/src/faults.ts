/** Faults are collected until there are as many as one answer names; then checking stops. */
import { type Fault, faultsError, MAX_FAULTS } from '@shoal/contracts';

export function isFull(faults: readonly Fault[]): boolean {
  return faults.length >= MAX_FAULTS;
}

/** Throws one error of `code` that names the first faults, where there are any. */
export function throwFaults(
  faults: readonly Fault[],
  code: 'invalid_request' | 'input_too_long' = 'invalid_request',
  advice = '',
): void {
  if (faults.length > 0) throw faultsError(faults.slice(0, MAX_FAULTS), code, advice);
}
