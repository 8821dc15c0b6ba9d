/** What was measured is not good enough: nothing has failed, and scripts can tell that from what has. */
import { UserError } from '@shoal/tools/user-error';

export class Refused extends UserError {
  readonly exitCode = 2;
}
