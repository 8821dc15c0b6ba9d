/** What was asked for was done, and has ended otherwise than it should: scripts can tell that from what cannot be done. */
import { UserError } from '@shoal/tools/user-error';

/** What was measured is not good enough, or a job has failed. */
export class Refused extends UserError {
  readonly exitCode = 2;
}
