/** A blob on its way from a bucket: asked for when it is read, and asked for again from where its connection broke off. */
import { Readable } from 'node:stream';
import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { changed, unavailable } from '../failures.js';
import type { Slice } from '../slice.js';
import type { Place } from './client.js';
import { explainS3, isStatus } from './explain.js';

export interface Found {
  /** The whole key in the bucket. */
  readonly key: string;
  readonly bytes: number;
  /** Of its contents: what is read is of these, where they are known. */
  readonly tag: string | undefined;
}

/** @throws ShoalError `storage_unavailable`; the signal's reason */
export async function* chunksOf(
  place: Place,
  found: Found,
  { first, end }: Slice,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { stallMs, tries } = place.patience;
  let body: Body | undefined;
  /** Connections in a row that brought nothing. */
  let fruitless = 0;
  try {
    for (let at = first; at < end; ) {
      signal?.throwIfAborted();
      body ??= new Body(await ask(place, found, { first: at, end }, signal), stallMs, signal);
      let chunk: Buffer | undefined;
      try {
        chunk = await body.next();
      } catch (error) {
        signal?.throwIfAborted();
        body.destroy();
        body = undefined;
        if (++fruitless < tries) continue;
        throw unavailable(`breaks off in the middle of a file, ${tries} times`, error);
      }
      if (chunk.length > end - at) throw unavailable('sends more of a file than it was asked for');
      fruitless = 0;
      at += chunk.length;
      yield chunk;
    }
  } finally {
    body?.destroy();
  }
}

async function ask(
  { client, bucket }: Place,
  { key, bytes, tag }: Found,
  { first, end }: Slice,
  signal: AbortSignal | undefined,
): Promise<Readable> {
  const range = `bytes=${first}-${end - 1}`;
  const command = new GetObjectCommand({ Bucket: bucket, Key: key, Range: range, IfMatch: tag });
  const answer = await client.send(command, signal === undefined ? {} : { abortSignal: signal }).catch((error) => {
    signal?.throwIfAborted();
    throw tag !== undefined && isStatus(error, 404, 412) ? changed(error) : explainS3(error);
  });
  const body = answer.Body;
  if (!(body instanceof Readable)) throw unavailable('does not answer as S3 does: a file has no contents');
  if (isOf(answer, { first, end }, bytes)) return body;
  body.destroy();
  throw unavailable('does not answer as S3 does: it sends another part of a file than it was asked for');
}

/** A whole blob may come without saying so. */
function isOf({ ContentRange, ContentLength }: GetObjectCommandOutput, { first, end }: Slice, bytes: number): boolean {
  if (ContentLength !== end - first) return false;
  return ContentRange === `bytes ${first}-${end - 1}/${bytes}` || (ContentRange === undefined && end - first === bytes);
}

/** Ends where nothing comes for too long while it is waited for. Its reader may take its time. */
class Body {
  readonly #readable: Readable;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #stallMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => this.destroy();

  constructor(readable: Readable, stallMs: number, signal: AbortSignal | undefined) {
    this.#readable = readable;
    this.#chunks = readable[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#stallMs = stallMs;
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    // What it fails of while nobody reads is heard by the next to read.
    readable.on('error', () => undefined);
  }

  /** @throws where it breaks off, or ends before its end */
  async next(): Promise<Buffer> {
    const timer = setTimeout(() => this.#readable.destroy(new Error('nothing came for too long')), this.#stallMs);
    try {
      const { done, value } = await this.#chunks.next();
      if (done === true) throw new Error('ended before its end');
      return value;
    } finally {
      clearTimeout(timer);
    }
  }

  destroy(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#readable.destroy();
  }
}
