/** The thread that builds: it keeps a processor busy for seconds to minutes, and Ctrl-C has to be heard all the while. */
import { parentPort, workerData } from 'node:worker_threads';
import { ShoalError } from '@shoal/contracts';
import { type BuildOrder, buildVariant } from './build.js';

/** `sized` comes before the others, where the build comes so far: it is the bytes that will be written. */
export type BuildMessage = { readonly kind: 'sized'; readonly bytes: number } | BuildReply;

export type BuildReply =
  | { readonly kind: 'built'; readonly changes: readonly string[] }
  | { readonly kind: 'refused'; readonly code: ShoalError['code']; readonly message: string };

function tell(message: BuildMessage): void {
  parentPort?.postMessage(message);
}

function reply(): BuildReply {
  try {
    return {
      kind: 'built',
      changes: buildVariant(workerData as BuildOrder, (bytes) => tell({ kind: 'sized', bytes })),
    };
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    return { kind: 'refused', code: error.code, message: error.message };
  }
}

tell(reply());
