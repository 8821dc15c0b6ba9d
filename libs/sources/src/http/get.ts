/**
 * One GET, and what it redirects to. Nothing is shared with other requests: no connection, no proxy, no cookie; credentials
 * go to the host that they are for and to no other.
 */
import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { ShoalError } from '@shoal/contracts';
import { connectFirst, familyOf, reasonOf } from '@shoal/network';
import type { PullContext } from '../context.js';
import { PassingFault, unavailable } from '../faults.js';
import { hostOf, judge, portOf } from './destination.js';
import { shown } from './shown.js';

export interface GetRequest {
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Value of the header Authorization, for `home`. */
  readonly authorization?: string | undefined;
  /** Origin that whoever pulls has named. */
  readonly home: string;
}

export interface Answer {
  /** Where it came from in the end. */
  readonly url: URL;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** To be read to its end or destroyed. */
  readonly body: IncomingMessage;
}

export type GetContext = Pick<PullContext, 'allow' | 'signal' | 'patience'>;

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** A hub needs two: to the name that a model has today, and to where its files lie. */
const MAX_REDIRECTS = 5;
const MAX_HEADER_BYTES = 32 * 1024;

/** @throws PassingFault where no answer came; ShoalError `source_unavailable` where none is to be had; the signal's reason */
export async function get(request: GetRequest, context: GetContext): Promise<Answer> {
  let { url } = request;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const answer = await exchange(url, request, context);
    const { location } = answer.headers;
    if (!REDIRECTS.has(answer.status) || location === undefined) return answer;
    answer.body.destroy();
    if (!URL.canParse(location, url.href)) throw unavailable(`${shown(url)} redirects to what is no URL.`);
    url = new URL(location, url);
  }
  throw unavailable(`${shown(request.url)} redirects more than ${MAX_REDIRECTS} times.`);
}

async function exchange(
  url: URL,
  { headers, authorization, home }: GetRequest,
  { allow, signal, patience }: GetContext,
): Promise<Answer> {
  const over = new AbortController();
  const onAbort = () => over.abort(signal.reason);
  const timer = setTimeout(
    () => over.abort(new PassingFault(`does not answer within ${patience.headMs / 1000} s`)),
    patience.headMs,
  );
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  let socket: Socket | undefined;
  try {
    const addresses = await judge({ url, home, allow }, over.signal);
    socket = await connectFirst(addresses, portOf(url), over.signal);
    const sent = { ...headers, ...(url.origin === home && authorization !== undefined && { authorization }) };
    const body = await headOf(ask(url, socket, sent), over.signal);
    return { url, status: body.statusCode ?? 0, headers: body.headers, body };
  } catch (error) {
    socket?.destroy();
    if (over.signal.aborted) throw over.signal.reason;
    throw error instanceof PassingFault || error instanceof ShoalError ? error : faultOf(url, error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

function ask(url: URL, socket: Socket, headers: Readonly<Record<string, string>>): ClientRequest {
  const host = hostOf(url);
  const secure = url.protocol === 'https:';
  const named = familyOf(host) === undefined ? { host, servername: host } : { host };
  const stream = secure ? connectTls({ socket, ...named }) : socket;
  const request = (secure ? requestHttps : requestHttp)({
    createConnection: () => stream,
    host,
    port: portOf(url),
    path: `${url.pathname}${url.search}`,
    // An encoding would be undone by nobody, and digests are of the file as it is.
    headers: { 'user-agent': 'shoal', 'accept-encoding': 'identity', ...headers },
    maxHeaderSize: MAX_HEADER_BYTES,
  });
  // What the socket still says once this has settled concerns nobody.
  for (const emitter of [request, stream, socket]) emitter.on('error', () => undefined);
  request.end();
  return request;
}

function headOf(request: ClientRequest, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      request.destroy();
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    request.once('response', (response) => {
      signal.removeEventListener('abort', onAbort);
      // Where nobody reads any more; who reads gets it from the stream itself.
      response.on('error', () => undefined);
      resolve(response);
    });
    request.once('upgrade', () => reject(new Error('the answer is no HTTP')));
    request.once('error', reject);
    request.once('close', () => reject(new Error('the connection was closed without an answer')));
  });
}

/** Neither certificates nor programs that do not speak HTTP mend themselves within a minute; what was cut off may come whole. */
function faultOf(url: URL, error: unknown): Error {
  const reason = reasonOf(error);
  const { code } = error as { readonly code?: unknown };
  const isMalformed = typeof code === 'string' && /^HPE_(?!INVALID_EOF_STATE|CLOSED_CONNECTION)/.test(code);
  if (isMalformed || /^TLS failed/.test(reason)) return unavailable(`${shown(url)}: ${reason}.`, error);
  return new PassingFault(`cannot be reached (${reason})`);
}
