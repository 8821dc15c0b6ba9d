import { expect, test } from 'vitest';
import { digestOf } from '../http/tenant.js';
import { EventUrls } from './event-urls.js';

const KEYS = [
  { tenant: { name: 'acme', weight: 1 }, digest: digestOf('acme-key') },
  { tenant: { name: 'zeta', weight: 1 }, digest: digestOf('zeta-key') },
];
const JOB = 'embed.1.fp32.0.01JABCDEFGHJKMNPQRSTVWXYZ0';
const NOW = Date.UTC(2026, 0, 1);

function tokenOf(keys: typeof KEYS, key: string, seconds: number): string {
  const { url } = new EventUrls(keys, () => NOW).sign(`Bearer ${key}`, JOB, seconds);
  return new URL(url, 'http://localhost').searchParams.get('token')!;
}

test('a token opens one job of its tenant, at every process that knows the key, until it expires', () => {
  const token = tokenOf(KEYS, 'acme-key', 60);
  const elsewhere = (ms: number) => new EventUrls([...KEYS].reverse(), () => NOW + ms);
  expect(elsewhere(59_999).tenantOf(token, JOB).name).toBe('acme');
  expect(() => elsewhere(60_000).tenantOf(token, JOB)).toThrow('does not open');
  expect(() => elsewhere(0).tenantOf(token, `${JOB}x`)).toThrow('does not open');
});

test('a token ends with the key that made it', () => {
  const token = tokenOf(KEYS, 'acme-key', 60);
  const rotated = [{ tenant: KEYS[0]!.tenant, digest: digestOf('acme-next-key') }];
  expect(() => new EventUrls(rotated, () => NOW).tenantOf(token, JOB)).toThrow('does not open');
});

test('a token that was changed in any place opens nothing', () => {
  const token = tokenOf(KEYS, 'acme-key', 60);
  const urls = new EventUrls(KEYS, () => NOW);
  for (const other of ['', '.', token.slice(1), `${token}A`, `9${token.slice(1)}`, token.replace('.', '')]) {
    expect(() => urls.tenantOf(other, JOB), other).toThrow('does not open');
  }
  for (let at = 0; at < token.length - 1; at++) {
    const changed = token.slice(0, at) + (token[at] === '0' ? '1' : '0') + token.slice(at + 1);
    expect(() => urls.tenantOf(changed, JOB), changed).toThrow('does not open');
  }
});

test('only a known key gets one; without keys none is needed', () => {
  expect(() => tokenOf(KEYS, 'other-key', 60)).toThrow('not known');
  expect(new EventUrls([], () => NOW).sign(undefined, JOB, 60).url).toBe(`/v1/jobs/${JOB}/events`);
});
