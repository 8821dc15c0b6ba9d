/** `shoal pull`: a model from a hub, a bucket, a web server or another disk into a folder on this one. */
import { ShoalError } from '@shoal/contracts';
import { PATIENCE, type Pulled, type PullRequest, pull } from '@shoal/sources';
import { UserError } from '@shoal/tools/user-error';
import type { SourceSettings } from './config.js';
import { ProgressDisplay, terminal } from './progress.js';
import { Interrupted, untilSignal } from './signals.js';

/** Said where a signal has ended a pull. */
const KEPT = 'stopped; what has come is kept, and the same command goes on with it.';

/** @throws UserError saying what is wrong and what to do; the folder is not there then */
export async function pullModel(request: PullRequest, settings: SourceSettings): Promise<void> {
  const display = new ProgressDisplay(terminal());
  const { folder, path, isNew } = await untilSignal(
    (signal) => new Interrupted(signal, KEPT),
    (signal) => pullShown(request, settings, display, signal),
  ).catch((error: unknown) => {
    throw error instanceof ShoalError ? new UserError(error.message) : error;
  });
  display.say(`${isNew ? 'Done' : 'There already'}: ${folder}`);
  display.say(`A model of it: npx shoal import ${JSON.stringify(path)}`);
}

/** Shows how far it is. @throws ShoalError; the signal's reason */
export async function pullShown(
  request: PullRequest,
  settings: SourceSettings,
  display: ProgressDisplay,
  signal: AbortSignal,
): Promise<Pulled> {
  const pulled = await pull(request, {
    ...settings,
    patience: PATIENCE,
    signal,
    say: display.say,
    onProgress: ({ file, done, total }) => display.show({ name: file, done, total }),
  });
  display.next();
  return pulled;
}
