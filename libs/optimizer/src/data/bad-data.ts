/** What is thrown where a user's file cannot be measured with. */
import { ShoalError } from '@shoal/contracts';

/** `message` names the file and, where there is one, the line; never what stands in it. */
export function badData(message: string, cause?: unknown): ShoalError {
  return new ShoalError('invalid_request', message, { cause });
}
