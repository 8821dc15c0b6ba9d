/**
 * A server with the shape of S3, as far as reading goes: ListObjectsV2 in pages, HeadObject, GetObject by a signed URL.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type LocalServer, listen } from './listen.js';
import { serveBytes } from './serve-bytes.js';

export interface BucketObject {
  readonly bytes: Buffer;
  /** With its quotes; the MD5 of the contents where left out, as of what was put in one piece. */
  readonly etag?: string;
  /** What HeadObject tells beside it. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Bucket {
  readonly name: string;
  /** Who may read it. */
  readonly accessKeyId: string;
  /** Key → object. */
  readonly objects: Readonly<Record<string, BucketObject>>;
  /** Keys on a page of a list. */
  readonly pageSize?: number;
}

export async function startS3(bucket: Bucket): Promise<LocalServer> {
  const server = await listen((request, response) =>
    answer(bucket, new URL(request.url ?? '', server.url), request, response),
  );
  return server;
}

function answer(bucket: Bucket, url: URL, request: IncomingMessage, response: ServerResponse): void {
  const [, name = '', ...rest] = decodeURIComponent(url.pathname).split('/');
  const key = rest.join('/');
  if (name !== bucket.name) return void refuse(response, 404, 'NoSuchBucket');
  const signed = `${request.headers.authorization ?? ''}${url.searchParams.get('X-Amz-Credential') ?? ''}`;
  if (signed === '') return void refuse(response, 403, 'AccessDenied');
  if (!signed.includes(`${bucket.accessKeyId}/`)) return void refuse(response, 403, 'InvalidAccessKeyId');
  if (key === '') return void list(bucket, url.searchParams, response);
  const object = bucket.objects[key];
  if (object === undefined) return void refuse(response, 404, 'NoSuchKey');
  const etag = tagOf(object);
  if (request.method !== 'HEAD') return void serveBytes(request, response, { bytes: object.bytes, etag });
  response.writeHead(200, { etag, 'content-length': object.bytes.length, ...object.headers }).end();
}

function list({ name, objects, pageSize = 1000 }: Bucket, query: URLSearchParams, response: ServerResponse): void {
  const from = Number(query.get('continuation-token') ?? 0);
  const found = Object.entries(objects).filter(([key]) => key.startsWith(query.get('prefix') ?? ''));
  const contents = found
    .slice(from, from + pageSize)
    .map(
      ([key, object]) =>
        `<Contents><Key>${xmlOf(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>` +
        `<ETag>${xmlOf(tagOf(object))}</ETag><Size>${object.bytes.length}</Size><StorageClass>STANDARD</StorageClass></Contents>`,
    );
  const more = from + pageSize < found.length;
  const next = more ? `<NextContinuationToken>${from + pageSize}</NextContinuationToken>` : '';
  const head = `<Name>${name}</Name><KeyCount>${contents.length}</KeyCount><IsTruncated>${more}</IsTruncated>`;
  response.writeHead(200, { 'content-type': 'application/xml' });
  response.end(
    `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>${head}${next}${contents.join('')}</ListBucketResult>`,
  );
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>no</Message></Error>`);
}

function tagOf({ bytes, etag }: BucketObject): string {
  return etag ?? `"${createHash('md5').update(bytes).digest('hex')}"`;
}

function xmlOf(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
