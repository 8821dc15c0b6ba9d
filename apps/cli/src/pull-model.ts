/** `shoal pull`: a model from a hub, a bucket, a web server or another disk into a folder on this one. */
import { ShoalError } from '@shoal/contracts';
import { type GoesOn, PATIENCE, type Pulled, type PullRequest, pull } from '@shoal/sources';
import { UserError } from '@shoal/tools/user-error';
import type { SourceSettings } from './config.js';
import { ProgressDisplay, terminal } from './progress.js';
import { Interrupted, untilSignal } from './signals.js';

/** Said of what a pull has left that a signal has ended. */
export const LEFT: Readonly<Record<GoesOn, string>> = {
  all: 'what has come is kept, and the same command goes on with it',
  some: 'what has come is kept as far as the source tells versions of its files apart, and the same command goes on with that',
  none: 'the same command begins anew: the source tells nothing by which it could go on with what has come',
};

/** @throws UserError saying what is wrong and what to do; the folder is not there then */
export async function pullModel(request: PullRequest, settings: SourceSettings): Promise<void> {
  const display = new ProgressDisplay(terminal());
  let left: GoesOn = 'all';
  const { folder, path, isNew } = await untilSignal(
    (signal) => new Interrupted(signal, `stopped; ${LEFT[left]}.`),
    (signal) =>
      pullShown(request, settings, display, signal, (goesOn) => {
        left = goesOn;
      }),
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
  onStart: (goesOn: GoesOn) => void,
): Promise<Pulled> {
  const pulled = await pull(request, {
    ...settings,
    patience: PATIENCE,
    signal,
    say: display.say,
    onStart,
    onProgress: ({ file, done, total }) => display.show({ name: file, done, total }),
  });
  display.next();
  return pulled;
}
