/**
 * One HTTP request of a webhook, to addresses that were judged before. Nothing is followed, no proxy is used, no
 * connection is kept, and whatever happens is an answer: this never rejects, and it settles when its signal aborts,
 * whatever the socket does.
 */
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { AttemptError } from '@shoal/contracts';
import { connectFirst, type Dial, reasonOf } from '@shoal/network';
import type { Destination } from './destination.js';
import { parseRetryAfter } from './schedule.js';

/** Most bytes of an answer's body that are read and kept (Svix: 20,000). */
export const MAX_ANSWER_BYTES = 20_000;
/** Most bytes of an answer's headers, and of all that comes before them: answers of 1xx. */
const MAX_HEADER_BYTES = 16 * 1024;

export interface Answer {
  /** Null where no answer came; `error` tells why. */
  readonly status: number | null;
  readonly error: AttemptError | null;
  /** What is behind `error`, in words for the receiver's owner; null where there is no more to say. */
  readonly reason: string | null;
  readonly retryAfterMs: number | null;
  /** The first bytes of the answer's body as text. */
  readonly body: string;
}

export interface PostRequest {
  readonly destination: Destination;
  /** The only addresses that are connected to. */
  readonly addresses: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Ends the attempt. */
  readonly signal: AbortSignal;
  /** Unix ms, for Retry-After dates. */
  readonly clock: () => number;
  readonly dial?: Dial | undefined;
}

/** The answer of an attempt that got none. */
export function noAnswer(error: AttemptError, reason: string | null = null): Answer {
  return { status: null, error, reason, retryAfterMs: null, body: '' };
}

/** Never rejects. */
export async function post(request: PostRequest): Promise<Answer> {
  const { destination, addresses, signal, dial } = request;
  let socket: Socket | undefined;
  try {
    socket = await connectFirst(addresses, destination.port, signal, dial);
    return await exchange(socket, request);
  } catch (error) {
    return signal.aborted
      ? noAnswer('timeout', socket ? 'connected, but no answer came in time' : 'no connection came about in time')
      : noAnswer('connection_failed', reasonOf(error));
  } finally {
    socket?.destroy();
  }
}

/** Rejects where no answer came. */
async function exchange(socket: Socket, { destination, headers, body, signal, clock }: PostRequest): Promise<Answer> {
  const { url, host, port, literal } = destination;
  const secure = url.protocol === 'https:';
  // No agent: no connection or TLS session is shared, and none of the process's proxy settings apply.
  const stream = secure ? connectTls({ socket, ...(literal ? { host } : { host, servername: host }) }) : socket;
  const request = (secure ? requestHttps : requestHttp)({
    createConnection: () => stream,
    method: 'POST',
    host,
    port,
    path: `${url.pathname}${url.search}`,
    headers: { ...headers, 'content-length': body.length },
    maxHeaderSize: MAX_HEADER_BYTES,
  });
  // What the socket still says once this has settled concerns nobody.
  for (const emitter of [request, stream, socket]) emitter.on('error', () => undefined);
  try {
    const answered = headOf(request, stream, signal);
    request.end(body);
    const response = await answered;
    const text = response.statusCode === 101 ? '' : await readStart(response, signal);
    const retryAfterMs = parseRetryAfter(response.headers['retry-after'], clock());
    return { status: response.statusCode ?? 0, error: null, reason: null, retryAfterMs, body: text };
  } finally {
    request.destroy();
    stream.destroy();
  }
}

/** Rejects with whatever comes instead of an answer. */
function headOf(request: ClientRequest, stream: Socket, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    request.once('response', resolve);
    // 101 with a protocol to switch to.
    request.once('upgrade', resolve);
    request.on('information', () => {
      if (stream.bytesRead > MAX_HEADER_BYTES) reject(new Error('too much came before the answer'));
    });
    request.once('error', reject);
    // Not every end of a connection is an error to Node.
    request.once('close', () => reject(new Error('the connection was closed without an answer')));
  });
}

/** What comes until the end, the limit, or the end of the attempt: the status counts, whether or not the body is whole. */
function readStart(response: IncomingMessage, signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const done = () => resolve(Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES).toString('utf8'));
    if (signal.aborted) done();
    signal.addEventListener('abort', done, { once: true });
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= MAX_ANSWER_BYTES) done();
    });
    for (const event of ['end', 'error', 'aborted', 'close']) response.once(event, done);
  });
}
