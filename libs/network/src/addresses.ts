/**
 * Which addresses belong to the public internet. Everything else is denied: private and shared networks, this machine,
 * link-local addresses (cloud metadata among them), documentation, multicast, and IPv6 forms that carry an IPv4 address.
 *
 * The ranges are the union of Svix's webhook client, stripe/smokescreen and the OWASP cheat sheet on SSRF.
 */
import { BlockList, isIP } from 'node:net';

const DENIED_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];

const DENIED_V6 = [
  // `::`, `::1` and IPv4-compatible addresses: without it `::127.0.0.1` would pass.
  '::/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  // Teredo (2001::/32) is inside.
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
];

const denied = new BlockList();
for (const range of [...DENIED_V4, ...DENIED_V6]) addRange(denied, range);

/** True for an address of the public internet. IPv4-mapped IPv6 (`::ffff:a.b.c.d`) is judged by its IPv4 address. */
export function isPublic(address: string): boolean {
  const family = familyOf(address);
  return family !== undefined && !denied.check(address, family);
}

/** Undefined where `address` is no IP address. */
export function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const version = isIP(address);
  if (version === 0) return undefined;
  return version === 4 ? 'ipv4' : 'ipv6';
}

/** Adds `<address>/<bits>`; throws where it is none. */
export function addRange(list: BlockList, range: string): void {
  const [address = '', bits = ''] = range.split('/');
  const family = familyOf(address);
  if (family === undefined || !/^\d{1,3}$/.test(bits)) throw new RangeError('not a range of addresses');
  list.addSubnet(address, Number(bits), family);
}
