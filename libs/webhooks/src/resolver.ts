/**
 * Names by DNS alone: /etc/hosts and search domains, which make short names mean something inside a network, are not
 * asked. c-ares does it, not libuv's four threads, so that a slow name server holds up nobody else.
 */
import { Resolver } from 'node:dns/promises';
import type { Resolve } from './destination.js';

/** Ms for one query; it is repeated once. */
const TIMEOUT_MS = 2000;

/** The name has no address of this kind, or is none. */
const NO_ADDRESS: readonly unknown[] = ['ENODATA', 'ENOTFOUND', 'EBADNAME'];

/** Resolves IPv4 and IPv6 addresses together; rejects where DNS does not answer. */
export function dnsResolve(): Resolve {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: 2 });
  return async (host) => {
    const found = await Promise.all([
      resolver.resolve4(host).catch(noneOrThrow),
      resolver.resolve6(host).catch(noneOrThrow),
    ]);
    return found.flat();
  };
}

function noneOrThrow(error: unknown): string[] {
  if (error instanceof Error && 'code' in error && NO_ADDRESS.includes(error.code)) return [];
  throw error;
}

interface Remembered {
  readonly addresses: Promise<readonly string[]>;
  readonly until: number;
}

/**
 * The same answers for `ms`, of the latest `size` names: for who only judges a name and does not connect. `clock` is in
 * ms.
 */
export function remember(resolve: Resolve, ms: number, size: number, clock: () => number): Resolve {
  const known = new Map<string, Remembered>();
  return (host) => {
    const before = known.get(host);
    if (before && before.until > clock()) return before.addresses;
    const addresses = resolve(host);
    known.delete(host);
    known.set(host, { addresses, until: clock() + ms });
    addresses.catch(() => known.delete(host));
    const [oldest] = known.keys();
    if (known.size > size && oldest !== undefined) known.delete(oldest);
    return addresses;
  };
}
