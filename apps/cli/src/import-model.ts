/** `shoal import`: what lies on this machine, or is pulled to it first, becomes a model that is served. */

import { rm, rmdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { exportsFor, type ImportRequest, importFolder, refuseBeforePull, reportOn } from '@shoal/importer';
import { openRepository } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import { type FoundSource, type GoesOn, type Pulled, parseSource, refuseMissing } from '@shoal/sources';
import { UserError } from '@shoal/tools/user-error';
import type { SourceSettings } from './config.js';
import { ProgressDisplay, terminal } from './progress.js';
import { LEFT, pullShown } from './pull-model.js';
import { Interrupted, untilSignal } from './signals.js';

export interface ImportCommand extends Omit<ImportRequest, 'folder' | 'origin'> {
  /** A folder or a file, or what `shoal pull` takes. */
  readonly source: string;
  /** Of what is pulled. */
  readonly sha256: string | undefined;
  /** Of what is pulled, in bytes; undefined: the default. */
  readonly maxBytes: number | undefined;
  readonly report: boolean;
}

export interface ImportPlace {
  /** The workers'. */
  readonly cacheDir: string;
  /** Where what is pulled lies until the model is there. */
  readonly pulledDir: string;
}

/** @throws UserError saying what the source is and why it cannot be imported; no model is left of it then */
export async function importModel(command: ImportCommand, settings: SourceSettings, place: ImportPlace): Promise<void> {
  let left = 'nothing was written';
  try {
    await untilSignal(
      (signal) => new Interrupted(signal, `stopped; ${left}.`),
      async (signal) => {
        const display = new ProgressDisplay(terminal());
        const source = parseSource(command.source, settings.hub.endpoint);
        if (source.kind === 'folder') {
          refuseBounds(command);
          await refuseMissing(source);
          await importFrom({ ...command, folder: source.path }, display, place, signal, (words) => {
            left = words;
          });
          return;
        }
        left = LEFT.all;
        const pulled = await pullFor(command, settings, display, place, signal, (goesOn) => {
          left = LEFT[goesOn];
        });
        left = `what was pulled is kept (${pulled.folder})`;
        await importFrom(
          { ...command, folder: pulled.path, origin: pulled.origin },
          display,
          place,
          signal,
          (words) => {
            left = words;
          },
        );
        await discard(pulled, place, display);
      },
    );
  } catch (error) {
    throw error instanceof ShoalError ? new UserError(error.message) : error;
  }
}

/** @throws UserError where something was asked for that is done with what is pulled alone */
function refuseBounds({ sha256, maxBytes, source }: ImportCommand): void {
  const given = [...(sha256 === undefined ? [] : ['--sha256']), ...(maxBytes === undefined ? [] : ['--max-size'])];
  if (given.length === 0) return;
  throw new UserError(
    `${given.join(' and ')}: for what is fetched, and ${JSON.stringify(source)} is on this machine already; leave ${given.length === 1 ? 'it' : 'them'} out.`,
  );
}

async function pullFor(
  request: ImportCommand,
  settings: SourceSettings,
  display: ProgressDisplay,
  { pulledDir }: ImportPlace,
  signal: AbortSignal,
  onStart: (goesOn: GoesOn) => void,
): Promise<Pulled> {
  const { source, sha256, maxBytes, dtypes } = request;
  let onnx: readonly string[] = [];
  const pick = (paths: readonly string[]) => {
    onnx = paths;
    return exportsFor(paths, dtypes);
  };
  const pickOnnx = dtypes.length === 0 ? undefined : pick;
  const check = (found: FoundSource) => refuseBeforePull({ ...found, onnx, request });
  return await pullShown(
    { source, to: undefined, downloads: pulledDir, maxBytes, sha256, pickOnnx, check },
    settings,
    display,
    signal,
    onStart,
  );
}

async function importFrom(
  request: ImportRequest & Pick<ImportCommand, 'report'>,
  display: ProgressDisplay,
  { cacheDir }: ImportPlace,
  signal: AbortSignal,
  leaves: (words: string) => void,
): Promise<void> {
  const runtime = await openRuntime();
  const folder = await importFolder(request, {
    ...{ runtime, cacheDir, say: display.say, signal },
    onProgress: (variant, bytes, total) => display.show({ name: `${variant} written`, done: bytes, total }),
  });
  display.say(await tryIt(folder));
  if (!request.report) return;
  leaves('the model is there, its report is not');
  const context = { runtime, now: () => performance.now(), signal };
  for (const line of await reportOn({ folder, source: request.folder }, context)) display.say(line);
}

/** A command that does something with the version that was made. */
async function tryIt(folder: string): Promise<string> {
  const [version, model] = [basename(folder), dirname(folder)];
  const { models } = await openRepository(dirname(model));
  const made = models.find(({ name, version: own }) => name === basename(model) && own === version);
  if (made?.task === 'text-generation') return `Try it: npx shoal run ${JSON.stringify(folder)}`;
  return `A request for it, while the API runs: npx shoal models show ${basename(model)}@${version}`;
}

/** What was pulled for this import alone takes as much room as the model again. */
async function discard({ folder, isNew }: Pulled, { pulledDir }: ImportPlace, display: ProgressDisplay): Promise<void> {
  if (!isNew) return display.say(`What was pulled before stays in ${folder}`);
  await rm(folder, { recursive: true });
  for (let next = dirname(folder); next.length > pulledDir.length; next = dirname(next)) {
    const removed = await rmdir(next).then(
      () => true,
      () => false,
    );
    if (!removed) return;
  }
}
