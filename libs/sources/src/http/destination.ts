/**
 * Where a request may go. Whoever pulls has named the first host, so it may lie anywhere; what it redirects to may not lead
 * into a private network, since a stranger chose it. Every address of a name is judged, and only those are connected to.
 */
import { lookup } from 'node:dns/promises';
import { type AllowList, familyOf, isPublic } from '@shoal/network';
import { PassingFault, unavailable } from '../faults.js';
import { shown } from './shown.js';

export interface Destination {
  readonly url: URL;
  /** The host that whoever pulls has named, as an origin. */
  readonly home: string;
  readonly allow: AllowList;
}

/** Without brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}

/** Throws where the URL is none that can be asked, whoever named it. */
export function checkUrl(url: URL): void {
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw unavailable(`${shown(url)} is no https:// URL.`);
  }
  if (url.username !== '' || url.password !== '') {
    throw unavailable(`${shown(url)}: a URL must not hold a user name or password.`);
  }
}

/**
 * The addresses to connect to.
 *
 * @throws PassingFault where the resolver is away; ShoalError `source_unavailable`; the signal's reason
 */
export async function judge({ url, home, allow }: Destination, signal: AbortSignal): Promise<readonly string[]> {
  checkUrl(url);
  const host = hostOf(url);
  const addresses = familyOf(host) === undefined ? await resolve(url, host, signal) : [host];
  const port = portOf(url);
  for (const address of addresses) {
    if (allow.allows(address, port)) continue;
    if (url.origin !== home) refuseStranger(url, address, port);
    else if (url.protocol === 'http:' && isPublic(address)) {
      throw unavailable(`${shown(url)}: over http:// anyone on the way can change what comes; use https://.`);
    }
  }
  return addresses;
}

function refuseStranger(url: URL, address: string, port: number): void {
  if (url.protocol === 'http:') {
    throw unavailable(
      `${shown(url)} is redirected to, over http://, where anyone on the way can change what comes; if that is meant, allow ` +
        `it with SHOAL_SOURCE_ALLOW=${rangeOf(address)}:${port}.`,
    );
  }
  if (isPublic(address)) return;
  throw unavailable(
    `${shown(url)} is redirected to, and is not on the public internet; if that is meant, allow it with ` +
      `SHOAL_SOURCE_ALLOW=${rangeOf(address)}:${port}.`,
  );
}

function rangeOf(address: string): string {
  return address.includes(':') ? `[${address}]/128` : `${address}/32`;
}

async function resolve(url: URL, host: string, signal: AbortSignal): Promise<readonly string[]> {
  const found = lookup(host, { all: true }).catch((error: NodeJS.ErrnoException) => {
    // A resolver that is away says EAI_AGAIN; this is the answer that there is no such name.
    if (error.code === 'ENOTFOUND') throw unavailable(`${shown(url)}: there is no host ${host}.`);
    throw new PassingFault(`cannot be reached (${error.code ?? 'no name server'})`);
  });
  return (await unlessAborted(found, signal)).map(({ address }) => address);
}

/** A look-up cannot be ended, only left: a resolver that is silent takes minutes. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((settle, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    void work.then(settle, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
