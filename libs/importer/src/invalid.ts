/** What is thrown where a folder is not one that can be imported. */
import { ShoalError } from '@shoal/contracts';

export function invalid(message: string, cause?: unknown): ShoalError {
  return new ShoalError('model_invalid', message, cause === undefined ? {} : { cause });
}
