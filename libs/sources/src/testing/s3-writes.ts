/**
 * What changes the objects of the server with the shape of S3: PutObject, DeleteObject, and the parts of an upload.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type BucketObject, refuse, tagOf } from './s3-object.js';

const MIN_PART_BYTES = 5 * 1024 * 1024;

export interface StartedUpload {
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Number → contents. */
  readonly parts: Map<number, Buffer>;
}

interface Written {
  readonly objects: Record<string, BucketObject>;
  readonly uploads: Map<string, StartedUpload>;
}

export function write(to: Written, key: string, url: URL, request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  // What breaks off has no end.
  request.on('end', () => {
    const bytes = Buffer.concat(chunks);
    if (request.headers['x-amz-content-sha256'] !== createHash('sha256').update(bytes).digest('hex')) {
      return void refuse(response, 400, 'XAmzContentSHA256Mismatch');
    }
    const id = url.searchParams.get('uploadId');
    if (id !== null) return void ofUpload(to, id, key, url.searchParams, bytes, request, response);
    if (request.method === 'POST') return void begin(to, key, request, response);
    if (request.method === 'DELETE') {
      delete to.objects[key];
      return void response.writeHead(204).end();
    }
    put(to, key, { bytes, headers: metadataOf(request) });
    response.writeHead(200, { etag: tagOf({ bytes }) }).end();
  });
}

function put({ objects }: Written, key: string, object: BucketObject): void {
  objects[key] = { ...object, modified: new Date().toISOString() };
}

function metadataOf({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (name.startsWith('x-amz-meta-') ? [[name, String(value)]] : [])),
  );
}

function begin({ uploads }: Written, key: string, request: IncomingMessage, response: ServerResponse): void {
  const id = createHash('sha256').update(`${key} ${uploads.size} ${Date.now()} ${Math.random()}`).digest('hex');
  uploads.set(id, { key, headers: metadataOf(request), parts: new Map() });
  answerXml(response, `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
}

function ofUpload(
  to: Written,
  id: string,
  key: string,
  query: URLSearchParams,
  bytes: Buffer,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const started = to.uploads.get(id);
  if (started?.key !== key) return void refuse(response, 404, 'NoSuchUpload');
  if (request.method === 'PUT') {
    started.parts.set(Number(query.get('partNumber')), bytes);
    response.writeHead(200, { etag: tagOf({ bytes }) }).end();
  } else if (request.method === 'DELETE') {
    to.uploads.delete(id);
    response.writeHead(204).end();
  } else {
    join(to, id, started, bytes.toString('utf8'), response);
  }
}

/** Of the parts that the body names, in its order, which must be that of their numbers. */
function join(to: Written, id: string, started: StartedUpload, body: string, response: ServerResponse): void {
  const named = [...body.matchAll(/<Part>.*?<\/Part>/gs)].map(([part]) => ({
    number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
    etag: /<ETag>(.*?)</.exec(part)?.[1]?.replaceAll('&quot;', '"'),
  }));
  const parts = named.map(({ number }) => started.parts.get(number));
  const known = named.every(({ etag }, index) => parts[index] !== undefined && tagOf({ bytes: parts[index] }) === etag);
  if (!known || named.length === 0) return void refuse(response, 400, 'InvalidPart');
  if (named.some(({ number }, index) => number <= (named[index - 1]?.number ?? 0))) {
    return void refuse(response, 400, 'InvalidPartOrder');
  }
  const bytes = parts.filter((part) => part !== undefined);
  if (bytes.slice(0, -1).some((part) => part.length < MIN_PART_BYTES))
    return void refuse(response, 400, 'EntityTooSmall');
  const sums = bytes.map((part) => createHash('md5').update(part).digest());
  const etag = `"${createHash('md5').update(Buffer.concat(sums)).digest('hex')}-${sums.length}"`;
  put(to, started.key, { bytes: Buffer.concat(bytes), etag, headers: started.headers });
  to.uploads.delete(id);
  answerXml(response, `<CompleteMultipartUploadResult><ETag>${etag}</ETag></CompleteMultipartUploadResult>`);
}

function answerXml(response: ServerResponse, xml: string): void {
  response.writeHead(200, { 'content-type': 'application/xml' });
  response.end(`<?xml version="1.0" encoding="UTF-8"?>${xml}`);
}
