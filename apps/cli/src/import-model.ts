/** `shoal import`: a folder from a hub or from one's own training becomes a model that is served. */

import { ShoalError } from '@shoal/contracts';
import { type ImportRequest, importFolder, reportOn } from '@shoal/importer';
import { openRuntime } from '@shoal/onnxruntime';
import { UserError } from '@shoal/tools/user-error';
import { Interrupted } from './signals.js';

/**
 * `cacheDir` is the workers'.
 *
 * @throws UserError saying what the folder is and why it cannot be imported; nothing is left of it then
 */
export async function importModel(request: ImportRequest, report: boolean, cacheDir: string): Promise<void> {
  const stop = new AbortController();
  let left = 'nothing was written';
  const onSignal = (signal: NodeJS.Signals) => stop.abort(new Interrupted(signal, `stopped; ${left}.`));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, onSignal);
  const runtime = await openRuntime();
  try {
    const folder = await importFolder(request, {
      runtime,
      cacheDir,
      say,
      signal: stop.signal,
      ...(process.stderr.isTTY && { onProgress: showProgress }),
    });
    if (!report) return;
    left = 'the model is there, its report is not';
    const context = { runtime, now: () => performance.now(), signal: stop.signal };
    for (const line of await reportOn({ folder, source: request.folder }, context)) say(line);
  } catch (error) {
    throw error instanceof ShoalError ? new UserError(error.message) : error;
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, onSignal);
  }
}

/** Erases the line of progress, which the next one takes. */
const CLEAR = '\r\x1b[K';

function say(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(CLEAR);
  console.log(line);
}

function showProgress(variant: string, bytes: number, total: number | undefined): void {
  const of = total === undefined ? '' : ` of ${(total / 1e6).toFixed(0)}`;
  process.stderr.write(`${CLEAR}  ${variant}: ${(bytes / 1e6).toFixed(0)}${of} MB written`);
}
