/**
 * Where a webhook may go. The URL is judged by itself first, then its host name is resolved once and every address is
 * judged; who sends connects to those addresses and to no other. Both happen at registration and at every attempt, since
 * names change hands. An error says what rule was broken, never what a name resolved to.
 */
import { MAX_WEBHOOK_URL, ShoalError } from '@shoal/contracts';
import { type AllowList, familyOf, isPublic } from '@shoal/network';

const PUBLIC_PORTS: readonly number[] = [443, 8443];
/** The way to everything else. */
const OPERATOR = 'Whoever runs this server can allow networks';
/** Names that only mean something inside a network. */
const INTERNAL_NAME = /(^|\.)(localhost|internal|local|svc|cluster\.local)$/;

export interface Destination {
  readonly url: URL;
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** True where `host` is an IP address: nothing is resolved, and Node asks no `lookup`. */
  readonly literal: boolean;
}

/** All addresses of a name. Rejects where DNS itself does not answer; no addresses where the name has none. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** Judges the URL as text. Throws `destination_not_allowed`. */
export function parseDestination(text: string, allow: AllowList): Destination {
  if (text.length > MAX_WEBHOOK_URL) throw refused(`must have at most ${MAX_WEBHOOK_URL} characters`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw refused('must be an absolute URL that starts with https://');
  }
  if (url.username !== '' || url.password !== '') throw refused('must not hold a user name or password');
  if (text.includes('#')) throw refused('must not have a fragment');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  const literal = familyOf(host) !== undefined;
  if (literal && !allow.allows(host, port)) {
    const range = host.includes(':') ? `[${host}]/128` : `${host}/32`;
    throw refused(`must name a public host, by its name. ${OPERATOR} (SHOAL_WEBHOOK_ALLOW=${range}:${port})`);
  }
  if (INTERNAL_NAME.test(host)) {
    throw refused(`must name a public host. ${OPERATOR} (SHOAL_WEBHOOK_ALLOW), by an address or another name`);
  }
  if (url.protocol === 'http:' && !allow.hasPort(port)) {
    throw refused(`must start with https://. ${OPERATOR} over http:// (SHOAL_WEBHOOK_ALLOW)`);
  }
  if (!PUBLIC_PORTS.includes(port) && !allow.hasPort(port)) {
    throw refused(`must use port ${PUBLIC_PORTS.join(' or ')}. ${OPERATOR} on other ports (SHOAL_WEBHOOK_ALLOW)`);
  }
  return { url, host, port, literal };
}

/** The addresses to connect to: all that the host has, each of them judged. Throws `destination_not_allowed`. */
export async function resolveDestination(
  destination: Destination,
  resolve: Resolve,
  allow: AllowList,
): Promise<readonly string[]> {
  const addresses = destination.literal ? [destination.host] : await resolve(destination.host);
  // One answer for both, so that nobody can ask which internal names there are.
  if (addresses.length === 0 || !addresses.every((address) => mayReach(destination, address, allow))) {
    throw refused('must name a host that has addresses, and public addresses only');
  }
  return addresses;
}

function mayReach({ url, port }: Destination, address: string, allow: AllowList): boolean {
  if (allow.allows(address, port)) return true;
  return url.protocol === 'https:' && PUBLIC_PORTS.includes(port) && isPublic(address);
}

function refused(rule: string): ShoalError {
  return new ShoalError('destination_not_allowed', `url ${rule}`, { faults: [{ path: 'url', message: rule }] });
}
