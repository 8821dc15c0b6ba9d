/** A large answer as JSON, written as fast as its caller reads, and not for ever. */
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { StreamableFile } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { jsonPieces } from './json-pieces.js';
import { Pace } from './pace.js';

/** `end` is called once, when the last piece was taken or the caller has gone. */
export function jsonStream(reply: FastifyReply, value: unknown, end: () => void): StreamableFile {
  const stream = Readable.from(pieces(reply, value), { objectMode: false });
  // Where nobody ever reads of it, the generator does not begin, nor end.
  stream.once('close', end);
  return new StreamableFile(stream, { type: 'application/json; charset=utf-8' });
}

async function* pieces(reply: FastifyReply, value: unknown): AsyncGenerator<Buffer, void> {
  const pace = new Pace(() => reply.raw.destroy());
  try {
    for (const text of jsonPieces(value)) {
      const bytes = Buffer.from(text);
      yield bytes;
      pace.move(bytes.length);
      // Other requests have their turn between two pieces, however fast this one is read.
      await turn();
    }
  } finally {
    pace.stop();
  }
}
