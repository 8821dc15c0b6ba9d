/** What is thrown where a file is not the model it should be. */
import { ShoalError } from '@shoal/contracts';

export function invalid(message: string, cause?: unknown): ShoalError {
  return new ShoalError('model_invalid', message, cause === undefined ? {} : { cause });
}
