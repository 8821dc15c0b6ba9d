/** The bytes of a file, or a range of them, written as fast as their caller reads. */
import { Readable } from 'node:stream';
import { StreamableFile } from '@nestjs/common';
import { ShoalError } from '@shoal/contracts';
import type { FilePiece, StoredFile } from '@shoal/queue';
import type { Reading, Store } from '@shoal/storage';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FailureLog } from '../http/failure-log.js';
import { Pace } from '../http/pace.js';
import { cut, type Part, parseRange } from './ranges.js';

/**
 * The answer to a request for a file's content, its status and headers.
 *
 * @throws ShoalError `range_not_satisfiable`, `storage_unavailable`
 */
export async function contentOf(
  file: StoredFile,
  store: Store,
  failures: FailureLog,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<StreamableFile> {
  const etag = `"${file.id}"`;
  reply.header('Accept-Ranges', 'bytes').header('ETag', etag);
  const { range: asked, 'if-range': condition } = request.headers;
  // What an id names never changes.
  const range = condition === undefined || condition === etag ? parseRange(asked, file.bytes) : null;
  if (range === undefined) {
    reply.header('Content-Range', `bytes */${file.bytes}`);
    throw new ShoalError('range_not_satisfiable', `The file has ${file.bytes} bytes.`);
  }
  const { first, last } = range ?? { first: 0, last: file.bytes - 1 };
  const parts = cut(file.pieces, { first, last });
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  // Before the status is sent: a store that is away is told so.
  const begun = parts[0] && (await open(store, parts[0], gone.signal));
  if (range !== null) reply.code(206).header('Content-Range', `bytes ${first}-${last}/${file.bytes}`);
  const stream = Readable.from(bytesOf(parts, begun), { objectMode: false });
  return new StreamableFile(stream, {
    type: 'application/octet-stream',
    disposition: dispositionOf(file.filename),
    length: last - first + 1,
  });

  async function* bytesOf(
    all: readonly Part<FilePiece>[],
    begin: Reading | undefined,
  ): AsyncGenerator<Uint8Array, void> {
    const pace = new Pace(() => reply.raw.destroy());
    // Time that the store takes is none of the caller's.
    pace.pause();
    try {
      for (const [n, part] of all.entries()) {
        const { stream: bytes } = n === 0 && begin ? begin : await open(store, part, gone.signal);
        for await (const chunk of bytes) {
          pace.resume();
          yield chunk;
          pace.pause();
          pace.move(chunk.length);
        }
      }
    } catch (error) {
      // The status is out: its caller sees a connection that ends early.
      if (!gone.signal.aborted && error instanceof ShoalError) failures.write(error, request);
      throw error;
    } finally {
      pace.stop();
    }
  }
}

async function open(store: Store, { piece, range }: Part<FilePiece>, signal: AbortSignal): Promise<Reading> {
  const reading = await store.read(piece.key, { range, signal });
  if (reading?.bytes === range.last - range.first + 1) return reading;
  const cause = new Error(
    reading === undefined ? 'a file that was recorded is not there' : 'a file is shorter than was recorded',
  );
  throw new ShoalError('internal_error', 'The store has lost this file.', { cause });
}

/** A name is a stranger's: in ASCII without what a header may not have, and whole as RFC 8187 writes it. */
function dispositionOf(filename: string): string {
  const plain = filename.replace(/[^\x20-\x7e]|["\\%;]/g, '_');
  const whole = encodeURIComponent(filename).replace(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${whole}`;
}
