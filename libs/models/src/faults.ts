/** Many faults as one error. */
import { type Fault, ShoalError } from '@shoal/contracts';

const MAX_SHOWN = 10;

/** Throws one error of `code` where there are faults. Its text names the first ten, `faults` has all. */
export function throwFaults(
  faults: readonly Fault[],
  code: 'invalid_request' | 'input_too_long' = 'invalid_request',
  advice = '',
): void {
  if (faults.length === 0) return;
  const shown = faults.slice(0, MAX_SHOWN).map(({ path, message }) => `${path}: ${message}`);
  if (faults.length > MAX_SHOWN) shown.push(`and ${faults.length - MAX_SHOWN} more`);
  throw new ShoalError(code, `${shown.join('; ')}${advice}`, { faults });
}
