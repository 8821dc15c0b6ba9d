/**
 * One HTTP request of a webhook, to addresses that were judged before. Nothing is followed, no proxy is used, no
 * connection is kept, and whatever happens is an answer: this never rejects.
 */
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import type { AttemptError } from '@shoal/contracts';
import type { Destination } from './destination.js';
import { parseRetryAfter } from './schedule.js';

/** Most bytes of an answer's body that are read and kept (Svix: 20,000). */
export const MAX_ANSWER_BYTES = 20_000;
/** Most bytes of an answer's headers. */
const MAX_HEADER_BYTES = 16 * 1024;

export interface Answer {
  /** Null where no answer came; `error` tells why. */
  readonly status: number | null;
  readonly error: AttemptError | null;
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
}

export function post({ destination, addresses, headers, body, signal, clock }: PostRequest): Promise<Answer> {
  const { url, host, port } = destination;
  const secure = url.protocol === 'https:';
  // An agent of its own: no connection or TLS session is shared, and none of the process's proxy settings apply.
  const agent = new (secure ? HttpsAgent : HttpAgent)({ keepAlive: false, maxSockets: 1 });
  const send = secure ? requestHttps : requestHttp;
  return new Promise((resolve) => {
    const fail = (error: AttemptError) => resolve({ status: null, error, retryAfterMs: null, body: '' });
    const request = send({
      agent,
      method: 'POST',
      host,
      port,
      path: `${url.pathname}${url.search}`,
      headers: { ...headers, 'content-length': body.length },
      lookup: lookupOf(addresses),
      maxHeaderSize: MAX_HEADER_BYTES,
      signal,
    });
    let answered = false;
    request.on('error', () => answered || fail(signal.aborted ? 'timeout' : 'connection_failed'));
    request.on('response', (response) => {
      answered = true;
      void readStart(response).then((text) => {
        request.destroy();
        const retryAfterMs = parseRetryAfter(response.headers['retry-after'], clock());
        resolve({ status: response.statusCode ?? 0, error: null, retryAfterMs, body: text });
      });
    });
    request.end(body);
  });
}

/** What Node asks for a name's addresses; for an IP address it does not ask, and that one is what was judged. */
function lookupOf(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  return (_host, options, callback) => {
    const [first] = found;
    if (first === undefined) callback(new Error('no address'), '', 0);
    else if (options.all) callback(null, found);
    else callback(null, first.address, first.family);
  };
}

/** What comes until the end, the limit, or the end of the attempt: the status counts, whether or not the body is whole. */
async function readStart(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= MAX_ANSWER_BYTES) break;
    }
  } catch {
    // Broken off.
  }
  return Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES).toString('utf8');
}
