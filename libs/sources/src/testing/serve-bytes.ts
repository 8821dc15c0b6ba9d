/** Answers a GET of a file as a web server does: whole, or the part that was asked for (RFC 9110, section 14). */
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface ServedFile {
  readonly bytes: Buffer;
  /** With its quotes. */
  readonly etag?: string;
  /** Last-Modified. */
  readonly modified?: string;
}

export function serveBytes(request: IncomingMessage, response: ServerResponse, file: ServedFile): void {
  const { bytes, etag, modified } = file;
  const { range, 'if-range': condition, 'if-match': match } = request.headers;
  const tag = { ...(etag !== undefined && { etag }), ...(modified !== undefined && { 'last-modified': modified }) };
  if (match !== undefined && match !== etag) return void response.writeHead(412).end();
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
  const same = condition === undefined || condition === (etag ?? modified);
  if (first === undefined || !same) {
    response.writeHead(200, { ...tag, 'content-length': bytes.length, 'accept-ranges': 'bytes' });
    return void response.end(bytes);
  }
  const start = Number(first);
  if (start >= bytes.length) return void response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
  const end = Math.min(last === '' ? bytes.length : Number(last) + 1, bytes.length);
  response.writeHead(206, {
    ...tag,
    'content-length': end - start,
    'content-range': `bytes ${start}-${end - 1}/${bytes.length}`,
  });
  response.end(bytes.subarray(start, end));
}
