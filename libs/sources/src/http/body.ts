/** Bodies of answers: bounded in size and in how slowly they may come. */
import type { Readable } from 'node:stream';
import { reasonOf } from '@shoal/network';
import type { PullContext } from '../context.js';
import { PassingFault, unavailable } from '../faults.js';

type BodyContext = Pick<PullContext, 'signal' | 'patience'>;

/**
 * The chunks of `body`, which is destroyed when their reader stops.
 *
 * @throws PassingFault where it breaks off or too little comes; the signal's reason
 */
export async function* chunksOf(body: Readable, { signal, patience }: BodyContext): AsyncGenerator<Buffer> {
  let arrived = 0;
  const onAbort = () => void body.destroy(signal.reason as Error);
  const watch = setInterval(() => {
    if (arrived < patience.stallBytes) body.destroy(new PassingFault(`stalled for ${patience.stallMs / 1000} s`));
    arrived = 0;
  }, patience.stallMs);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    for await (const chunk of body) {
      arrived += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof PassingFault ? error : new PassingFault(`broke off (${reasonOf(error)})`);
  } finally {
    clearInterval(watch);
    signal.removeEventListener('abort', onAbort);
    body.destroy();
  }
}

/** How often longer than the head of an answer a small body may take. */
const SMALL_PATIENCE = 20;

/** All of a small body. @throws as `chunksOf`; ShoalError `source_unavailable` where it has more than `maxBytes`, or takes too long */
export async function bytesOf(body: Readable, maxBytes: number, title: string, context: BodyContext): Promise<Buffer> {
  const { patience } = context;
  const ms = SMALL_PATIENCE * patience.headMs;
  const over = new AbortController();
  const timer = setTimeout(
    () => over.abort(unavailable(`${title} does not end its answer within ${ms / 1000} s.`)),
    ms,
  );
  const signal = AbortSignal.any([context.signal, over.signal]);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of chunksOf(body, { signal, patience })) {
      size += chunk.length;
      if (size > maxBytes) throw unavailable(`${title} answers with more than ${maxBytes} bytes.`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    clearTimeout(timer);
  }
}

/** The same as text. */
export async function textOf(body: Readable, maxBytes: number, title: string, context: BodyContext): Promise<string> {
  return (await bytesOf(body, maxBytes, title, context)).toString('utf8');
}
