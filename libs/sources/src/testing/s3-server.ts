/**
 * A server with the shape of S3: ListObjectsV2 in pages, HeadObject, GetObject in parts and by a signed URL; what changes
 * objects is in s3-writes.ts.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type LocalServer, listen } from './listen.js';
import { type BucketObject, refuse, tagOf } from './s3-object.js';
import { type StartedUpload, write } from './s3-writes.js';
import { serveBytes } from './serve-bytes.js';

export interface Bucket {
  readonly name: string;
  /** Who may read and write it. */
  readonly accessKeyId: string;
  /** Key → object; what is written is in it, too. */
  readonly objects: Record<string, BucketObject>;
  /** Keys on a page of a list. */
  readonly pageSize?: number;
}

export interface S3Server extends LocalServer {
  /** Id → what was begun in parts and has neither been joined nor given up. */
  readonly uploads: Map<string, StartedUpload>;
}

export async function startS3(bucket: Bucket): Promise<S3Server> {
  const uploads = new Map<string, StartedUpload>();
  const server = await listen((request, response) =>
    answer({ ...bucket, uploads }, new URL(request.url ?? '', server.url), request, response),
  );
  return Object.assign(server, { uploads });
}

type Served = Bucket & Pick<S3Server, 'uploads'>;

function answer(bucket: Served, url: URL, request: IncomingMessage, response: ServerResponse): void {
  const [, name = '', ...rest] = decodeURIComponent(url.pathname).split('/');
  const key = rest.join('/');
  if (name !== bucket.name) return void refuse(response, 404, 'NoSuchBucket');
  const signed = `${request.headers.authorization ?? ''}${url.searchParams.get('X-Amz-Credential') ?? ''}`;
  if (signed === '') return void refuse(response, 403, 'AccessDenied');
  if (!signed.includes(`${bucket.accessKeyId}/`)) return void refuse(response, 403, 'InvalidAccessKeyId');
  if (request.method !== 'GET' && request.method !== 'HEAD') return void write(bucket, key, url, request, response);
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
        `<Contents><Key>${xmlOf(key)}</Key><LastModified>${object.modified ?? '2026-01-01T00:00:00.000Z'}</LastModified>` +
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

function xmlOf(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
