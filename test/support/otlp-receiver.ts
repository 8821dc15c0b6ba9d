/** A receiver of OTLP over HTTP on loopback, as a collector is one: keeps the spans that come, decoded from protobuf. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished } from 'vitest';

export interface ReceivedSpan {
  readonly service: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  /** '' of a root. */
  readonly parentId: string;
  /** Unix ns. */
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** 2: an error. */
  readonly status: number;
}

export interface OtlpReceiver {
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** Everything that came, as bytes in latin1. */
  readonly raw: () => string;
  /** The first span that fits, as soon as it has come. */
  find(fits: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan>;
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const bodies: Buffer[] = [];
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    expect([request.method, request.url]).toEqual(['POST', '/v1/traces']);
    expect(request.headers['content-type']).toBe('application/x-protobuf');
    bodies.push(body);
    spans.push(...readRequest(body));
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    raw: () => Buffer.concat(bodies).toString('latin1'),
    async find(fits) {
      await expect.poll(() => spans.some(fits)).toBe(true);
      return spans.find(fits)!;
    },
  };
}

/** A message's fields: number → its values, in order. */
type Fields = Map<number, (bigint | Buffer)[]>;

/** The wire format of protobuf, without groups. */
function readFields(bytes: Buffer): Fields {
  const fields: Fields = new Map();
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const slice = (length: number) => {
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const type = tag & 7;
    const value =
      type === 0
        ? varint()
        : type === 1
          ? slice(8).readBigUInt64LE()
          : type === 5
            ? BigInt(slice(4).readUInt32LE())
            : slice(Number(varint()));
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), value]);
  }
  return fields;
}

const messages = (fields: Fields, field: number) =>
  (fields.get(field) ?? []).map((value) => readFields(value as Buffer));
const bytesOf = (fields: Fields, field: number) => (fields.get(field)?.[0] as Buffer | undefined) ?? Buffer.alloc(0);
const hex = (fields: Fields, field: number) => bytesOf(fields, field).toString('hex');
const text = (fields: Fields, field: number) => bytesOf(fields, field).toString();
const number = (fields: Fields, field: number) => (fields.get(field)?.[0] as bigint | undefined) ?? 0n;

/** Field numbers of opentelemetry/proto/trace/v1/trace.proto. */
function readRequest(body: Buffer): ReceivedSpan[] {
  return messages(readFields(body), 1).flatMap((resourceSpans) => {
    const resource = messages(resourceSpans, 1)[0];
    const service = String(resource ? readAttributes(resource, 1)['service.name'] : '');
    return messages(resourceSpans, 2).flatMap((scope) => messages(scope, 2).map((span) => readSpan(span, service)));
  });
}

function readSpan(span: Fields, service: string): ReceivedSpan {
  return {
    service,
    name: text(span, 5),
    kind: Number(number(span, 6)),
    traceId: hex(span, 1),
    spanId: hex(span, 2),
    parentId: hex(span, 4),
    start: number(span, 7),
    end: number(span, 8),
    attributes: readAttributes(span, 9),
    links: messages(span, 13).map((link) => ({ traceId: hex(link, 1), spanId: hex(link, 2) })),
    status: Number(messages(span, 15).map((status) => number(status, 3))[0] ?? 0n),
  };
}

function readAttributes(fields: Fields, field: number): Record<string, string | number | boolean> {
  return Object.fromEntries(messages(fields, field).map((pair) => [text(pair, 1), readValue(messages(pair, 2)[0]!)]));
}

function readValue(value: Fields): string | number | boolean {
  if (value.has(2)) return number(value, 2) === 1n;
  if (value.has(3)) return Number(number(value, 3));
  if (value.has(4)) return doubleOf(number(value, 4));
  return text(value, 1);
}

function doubleOf(bits: bigint): number {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(bits);
  return bytes.readDoubleLE();
}
