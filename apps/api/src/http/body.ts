/** Request bodies: JSON of bounded size and at most 100 levels, refused before it is parsed where it is anything else. */
import { isUtf8 } from 'node:buffer';
import { setImmediate as turn } from 'node:timers/promises';
import { MAX_BODY_DEPTH, overLimit, ShoalError } from '@shoal/contracts';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import secureJson from 'secure-json-parse';
import { readBody } from './read-body.js';

/** From here on it takes milliseconds to parse a body. */
const LARGE_BYTES = 32 * 1024;
/** A bulk call of 1,000 jobs has some ten thousand. */
const MAX_BODY_FIELDS = 50_000;
/** Of a tensor's innermost lists, such as the colours of a pixel: `[0,0,0],`. */
const LEAST_LIST_BYTES = 8;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Its handler reads the body as it comes. */
    readonly streamsBody?: true;
  }
}

/** Makes this the only parser of the server. A request without a body has the body `undefined`, and one that is streamed. */
export function parseBodies(server: FastifyInstance, maxBytes: number): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', async (request: FastifyRequest) => {
    if (request.routeOptions.config.streamsBody) return undefined;
    const unpack = await readBody(request, request.permit, maxBytes);
    // Packed until it is the tenant's turn: who hangs up meanwhile has cost what was sent, and no more.
    await request.permit?.startWork();
    const bytes = await unpack();
    const body = parseBody(request, bytes, Math.floor(maxBytes / LEAST_LIST_BYTES));
    // To check it takes as long again.
    if (bytes.length >= LARGE_BYTES) await turn();
    return body;
  });
}

/** Throws `malformed_body` where the request has no body. */
export function requireBody(body: unknown): void {
  if (body === undefined) throw new ShoalError('malformed_body', 'The body is empty; send a JSON object.');
}

function parseBody(request: FastifyRequest, bytes: Buffer, lists: number): unknown {
  if (bytes.length === 0) return undefined;
  const mediaType = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType !== 'application/json') {
    throw new ShoalError('unsupported_media_type', 'Send Content-Type: application/json.');
  }
  if (!isUtf8(bytes)) throw new ShoalError('malformed_body', 'The body is not UTF-8.');
  const over = overLimit(bytes, { depth: MAX_BODY_DEPTH, fields: MAX_BODY_FIELDS, lists });
  if (over === 'depth') throw new ShoalError('body_too_deep', `Nest at most ${MAX_BODY_DEPTH} levels.`);
  if (over === 'lists') throw new ShoalError('body_too_large', `Send at most ${lists} arrays.`);
  if (over === 'fields') throw new ShoalError('body_too_large', `Send at most ${MAX_BODY_FIELDS} objects and fields.`);
  return parseJson(bytes.toString('utf8'));
}

function parseJson(text: string): unknown {
  try {
    // `__proto__` and `constructor.prototype` would poison whatever merges the body later.
    return secureJson.parse(text, null, { protoAction: 'error', constructorAction: 'error' });
  } catch (error) {
    throw new ShoalError('malformed_body', whereJsonBroke(error), { cause: error });
  }
}

/** V8's message quotes the text, so only its position is told. */
function whereJsonBroke(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  if (message.includes('forbidden')) return 'The keys "__proto__" and "constructor.prototype" are refused.';
  const position = /position (\d+)/.exec(message)?.[1];
  return position === undefined ? 'The JSON ends early or is not valid.' : `The JSON breaks at character ${position}.`;
}
