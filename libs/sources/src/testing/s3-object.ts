/** What the server with the shape of S3 has, and how it refuses. */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';

export interface BucketObject {
  readonly bytes: Buffer;
  /** With its quotes; the MD5 of the contents where left out, as of what was put in one piece. */
  readonly etag?: string;
  /** What HeadObject tells beside it. */
  readonly headers?: Readonly<Record<string, string>>;
  /** ISO 8601; the year's begin where left out. */
  readonly modified?: string;
}

export function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>no</Message></Error>`);
}

export function tagOf({ bytes, etag }: BucketObject): string {
  return etag ?? `"${createHash('md5').update(bytes).digest('hex')}"`;
}
