import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { parseSecretKey, SecretBox } from './secret-box.js';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

test('what was sealed opens again, and looks different each time', () => {
  const box = new SecretBox(randomBytes(32));
  const sealed = box.seal(SECRET, 'acme');
  expect(box.open(sealed, 'acme')).toBe(SECRET);
  expect(sealed).not.toContain(SECRET.slice(6));
  expect(box.seal(SECRET, 'acme')).not.toBe(sealed);
});

test('another key, another tenant and a changed text do not open it', () => {
  const box = new SecretBox(randomBytes(32));
  const sealed = box.seal(SECRET, 'acme');
  const bytes = Buffer.from(sealed.slice(3), 'base64');
  bytes[bytes.length - 1]! ^= 1;
  expect(() => new SecretBox(randomBytes(32)).open(sealed, 'acme')).toThrow();
  expect(() => box.open(sealed, 'other')).toThrow();
  expect(() => box.open(`v1.${bytes.toString('base64')}`, 'acme')).toThrow();
  expect(() => box.open(SECRET, 'acme')).toThrow('unknown form');
});

test('a key is 32 bytes in hex or base64', () => {
  const key = randomBytes(32);
  for (const encoding of ['hex', 'base64', 'base64url'] as const) {
    expect(parseSecretKey(key.toString(encoding))).toEqual(key);
  }
  for (const text of ['', 'secret', key.subarray(1).toString('hex'), key.subarray(1).toString('base64')]) {
    expect(parseSecretKey(text), text).toBeUndefined();
  }
});
