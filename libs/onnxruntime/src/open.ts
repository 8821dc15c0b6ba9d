/** Chooses the implementation of this process. */
import { ShoalError } from '@shoal/contracts';
import { withAttention } from './attention.js';
import { selfTest } from './self-test.js';
import type { Runtime } from './types.js';
import { withWholeSums } from './whole-sums.js';

export interface OpenOptions {
  /** Default `c-api`. */
  readonly prefer?: Runtime['kind'];
  /** Told, in one line, why the C API is not used. */
  readonly log?: (message: string) => void;
}

/**
 * The C API if it passes the self-test on this machine, else onnxruntime-node's own binding in a worker thread: slower (a
 * copy of every input and output), not to be aborted, without device options of its own for CUDA and TensorRT.
 * @throws ShoalError `internal_error` when neither works.
 */
export async function openRuntime({ prefer = 'c-api', log = () => {} }: OpenOptions = {}): Promise<Runtime> {
  if (prefer === 'c-api') {
    try {
      return await tested(async () => (await import('./c-api/runtime.js')).openCApi());
    } catch (error) {
      log(`ONNX Runtime's C API cannot be used, a worker thread stands in for it: ${(error as Error).message}`);
    }
  }
  try {
    return await tested(async () => (await import('./worker-thread/runtime.js')).openWorkerThread());
  } catch (cause) {
    throw new ShoalError('internal_error', `ONNX Runtime cannot be used: ${(cause as Error).message}`, { cause });
  }
}

async function tested(open: () => Promise<Runtime>): Promise<Runtime> {
  const runtime = await open();
  await selfTest(runtime);
  return withAttention(await withWholeSums(runtime));
}
