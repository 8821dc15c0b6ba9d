/** Builds a variant in a thread that ends when the caller loses patience. */
import { on } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ShoalError } from '@shoal/contracts';
import type { BuildOrder } from './build.js';
import type { BuildMessage, BuildReply } from './build-thread.js';

/**
 * `onSize` is told how many bytes will be written, before they are.
 *
 * @throws ShoalError as the build did; the signal's reason where it was aborted
 */
export async function runBuild(
  order: BuildOrder,
  signal: AbortSignal,
  onSize: (bytes: number) => void = () => {},
): Promise<readonly string[]> {
  signal.throwIfAborted();
  const thread = new Worker(new URL('./build-thread.js', import.meta.url), { workerData: order });
  try {
    const reply = await replyOf(thread, signal, onSize);
    if (reply.kind === 'refused') throw new ShoalError(reply.code, reply.message);
    return reply.changes;
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    await thread.terminate();
  }
}

async function replyOf(thread: Worker, signal: AbortSignal, onSize: (bytes: number) => void): Promise<BuildReply> {
  for await (const [message] of on(thread, 'message', { signal, close: ['exit'] })) {
    const told = message as BuildMessage;
    if (told.kind !== 'sized') return told;
    onSize(told.bytes);
  }
  throw new Error('the thread that builds ended without a word');
}
