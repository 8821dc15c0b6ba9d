import { AllowList } from '@shoal/network';
import { ALLOWED_ADDRESSES, DENIED_ADDRESSES } from '@shoal/network/testing';
import { describe, expect, test } from 'vitest';
import { parseDestination, type Resolve, resolveDestination } from './destination.js';

const NOTHING = new AllowList([]);
const LOOPBACK = new AllowList(['127.0.0.0/8:9000', '[::1]/128:9000']);

const resolvesTo =
  (...addresses: string[]): Resolve =>
  async () =>
    addresses;

const check = async (url: string, addresses: string[], allow = NOTHING) =>
  resolveDestination(parseDestination(url, allow), resolvesTo(...addresses), allow);

describe('the URL', () => {
  test.each([
    ['https://hooks.example.com/in?a=1', 443],
    ['https://hooks.example.com:8443', 8443],
    ['https://xn--bcher-kva.example/', 443],
  ])('%s is taken', (url, port) => {
    expect(parseDestination(url, NOTHING)).toMatchObject({ port, literal: false });
  });

  test.each<[url: string, rule: string]>([
    ['hooks.example.com', 'must be an absolute URL'],
    ['ftp://example.com', 'must be an absolute URL'],
    ['http://example.com', 'must start with https'],
    ['http://example.com:443', 'must start with https'],
    ['https://example.com:8080', 'must use port 443 or 8443'],
    ['https://me@example.com', 'user name'],
    ['https://:secret@example.com', 'user name'],
    ['https://example.com/#a', 'fragment'],
    ['https://example.com/#', 'fragment'],
    [`https://example.com/${'a'.repeat(2030)}`, '2048 characters'],
    ...['localhost', 'localhost.', 'a.localhost', 'metadata.google.internal', 'printer.local', 'api.default.svc'].map(
      (host): [string, string] => [`https://${host}/`, 'must name a public host'],
    ),
    ['https://api.default.svc.cluster.local', 'must name a public host'],
    ['https://1.1.1.1/', 'must name a public host'],
    ['https://[2606:4700:4700::1111]/', 'must name a public host'],
    ...['2130706433', '0x7f.1', '0177.0.0.1', '127.1', '①②⑦.⓪.⓪.①', '0', '[::ffff:127.0.0.1]'].map(
      (host): [string, string] => [`https://${host}/`, 'must name a public host'],
    ),
  ])('%s is refused: %s', (url, rule) => {
    expect(() => parseDestination(url, NOTHING)).toThrow(rule);
  });

  test.each(DENIED_ADDRESSES)('https://%s is refused as a literal', (address) => {
    const host = address.includes(':') ? `[${address}]` : address;
    expect(() => parseDestination(`https://${host}/`, NOTHING)).toThrow('must name a public host');
  });

  test('an allowed network may be named by its address, over http and on its port', () => {
    expect(parseDestination('http://127.0.0.1:9000/x', LOOPBACK)).toMatchObject({ host: '127.0.0.1', literal: true });
    expect(parseDestination('http://[::1]:9000/', LOOPBACK)).toMatchObject({ host: '::1' });
    for (const url of ['http://127.0.0.1:9001/', 'http://10.0.0.1:9000/', 'https://127.0.0.1/']) {
      expect(() => parseDestination(url, LOOPBACK), url).toThrow('must name a public host');
    }
  });
});

describe('the addresses', () => {
  test.each(DENIED_ADDRESSES)('a name that has %s is refused', async (address) => {
    await expect(check('https://example.com', [address])).rejects.toThrow('public addresses only');
    await expect(check('https://example.com', ['1.1.1.1', address])).rejects.toThrow('public addresses only');
  });

  test.each(ALLOWED_ADDRESSES)('a name that has %s is taken', async (address) => {
    expect(await check('https://example.com', [address])).toEqual([address]);
  });

  test('an unknown name gets the same answer as an internal one', async () => {
    const answers = await Promise.all(
      [[], ['10.0.0.1']].map((addresses) => check('https://example.com', addresses).catch((error) => String(error))),
    );
    expect(answers[0]).toBe(answers[1]);
    expect(answers[0]).not.toMatch(/\d/);
  });

  test('plain http and other ports reach allowed networks only', async () => {
    expect(await check('http://dev.example.com:9000', ['127.0.0.1'], LOOPBACK)).toEqual(['127.0.0.1']);
    await expect(check('http://dev.example.com:9000', ['1.1.1.1'], LOOPBACK)).rejects.toThrow('public addresses');
    await expect(check('https://dev.example.com:9000', ['1.1.1.1'], LOOPBACK)).rejects.toThrow('public addresses');
    await expect(check('https://dev.example.com', ['127.0.0.1'], LOOPBACK)).rejects.toThrow('public addresses');
  });
});
