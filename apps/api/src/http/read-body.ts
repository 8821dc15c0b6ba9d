/** The bytes of a body as they come: bounded in number, memory and time, and unpacked where they are compressed. */
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { ShoalError } from '@shoal/contracts';
import type { FastifyRequest } from 'fastify';
import { Pace } from './pace.js';
import type { Permit } from './permit.js';

const gunzipWhole = promisify(gunzip);

/** How a gzip member begins, with the only method there is, and the smallest one: header and trailer (RFC 1952). */
const GZIP_MAGIC = Buffer.of(0x1f, 0x8b, 8);
const MIN_GZIP_BYTES = 18;

/** Unpacks a body that has come whole. Throws `malformed_body`. */
export type Unpack = () => Promise<Buffer>;

/**
 * Throws `body_too_large` as soon as that is known, `body_too_slow`, `malformed_body`, `unsupported_media_type` for an
 * encoding other than gzip, and `too_many_requests` where the permit has no room. What follows is read and thrown away.
 */
export async function readBody(request: FastifyRequest, permit: Permit | null, maxBytes: number): Promise<Unpack> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  const gzip = encoding === 'gzip' || encoding === 'x-gzip';
  if (!gzip && encoding !== 'identity') {
    throw new ShoalError('unsupported_media_type', 'Content-Encoding may be gzip or identity.');
  }
  if (Number(request.headers['content-length']) > maxBytes) throw tooLarge(maxBytes);
  const bytes = await collect(request, permit, maxBytes);
  if (!gzip || bytes.length === 0) return async () => bytes;
  const size = sizeOfGzip(bytes, maxBytes);
  permit?.hold(size);
  return () => unpackGzip(bytes, size);
}

function collect({ raw }: FastifyRequest, permit: Permit | null, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const settle = (finish: () => void) => {
      pace.stop();
      raw.off('data', take).off('end', end).off('close', breakOff).off('error', breakOff);
      finish();
    };
    const fail = (error: unknown) => {
      settle(() => reject(error));
      raw.on('error', () => undefined).resume();
    };
    const take = (chunk: Buffer) => {
      length += chunk.length;
      if (length > maxBytes) return fail(tooLarge(maxBytes));
      try {
        permit?.hold(chunk.length);
      } catch (error) {
        return fail(error);
      }
      pace.move(chunk.length);
      chunks.push(chunk);
    };
    const end = () => settle(() => resolve(Buffer.concat(chunks, length)));
    const breakOff = () => fail(new ShoalError('malformed_body', 'The body ended early.'));
    const pace = new Pace(() => fail(new ShoalError('body_too_slow', 'Send the body without pauses.')));
    raw.on('data', take).on('end', end).on('close', breakOff).on('error', breakOff);
  });
}

/** A gzip member ends with the size of what it holds: a bomb is refused before it is unpacked. */
function sizeOfGzip(packed: Buffer, maxBytes: number): number {
  // What begins otherwise has no trailer: its last bytes say nothing.
  if (packed.length < MIN_GZIP_BYTES || !GZIP_MAGIC.equals(packed.subarray(0, 3))) throw notGzip();
  const size = packed.readUInt32LE(packed.length - 4);
  if (size > maxBytes) throw tooLarge(maxBytes);
  return size;
}

async function unpackGzip(packed: Buffer, size: number): Promise<Buffer> {
  // One byte more than it says: whoever needs that has said something else than is there.
  const body = await gunzipWhole(packed, { maxOutputLength: size + 1 }).catch((cause: unknown) => {
    throw notGzip(cause);
  });
  if (body.length !== size) throw notGzip();
  return body;
}

function notGzip(cause?: unknown): ShoalError {
  return new ShoalError('malformed_body', 'The body is not one whole gzip member.', { cause });
}

function tooLarge(maxBytes: number): ShoalError {
  return new ShoalError('body_too_large', `Send at most ${maxBytes} bytes.`);
}
