/** Builds a variant in a thread that ends when the caller loses patience. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ShoalError } from '@shoal/contracts';
import type { BuildOrder } from './build.js';
import type { BuildReply } from './build-thread.js';

/** @throws ShoalError as the build did; the signal's reason where it was aborted */
export async function runBuild(order: BuildOrder, signal: AbortSignal): Promise<readonly string[]> {
  signal.throwIfAborted();
  const thread = new Worker(new URL('./build-thread.js', import.meta.url), { workerData: order });
  try {
    const [reply] = (await once(thread, 'message', { signal })) as [BuildReply];
    if (reply.kind === 'refused') throw new ShoalError(reply.code, reply.message);
    return reply.changes;
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    await thread.terminate();
  }
}
