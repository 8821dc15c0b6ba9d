/** Ending a run that is in flight. */
import type { OrtApi } from './api.js';

/**
 * Calls `run` with an `OrtRunOptions` (0n without a signal) that the signal terminates: ONNX Runtime checks between two
 * operators. Settles when native code has ended, so that the memory of the run can be freed; rejects with the reason.
 */
export async function terminable(
  api: OrtApi,
  signal: AbortSignal | undefined,
  run: (runOptions: bigint) => Promise<void>,
): Promise<void> {
  if (signal === undefined) return run(0n);
  signal.throwIfAborted();
  const runOptions = api.get('CreateRunOptions');
  const terminate = () => api.call('RunOptionsSetTerminate', runOptions);
  signal.addEventListener('abort', terminate);
  try {
    await run(runOptions);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', terminate);
    api.release('RunOptions', runOptions);
  }
}
