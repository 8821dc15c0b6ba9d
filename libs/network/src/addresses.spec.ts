import { expect, test } from 'vitest';
import { isPublic } from './addresses.js';
import { ALLOWED_ADDRESSES, DENIED_ADDRESSES } from './testing/address-vectors.js';

test('all vectors are there', () => {
  expect([new Set(DENIED_ADDRESSES).size, new Set(ALLOWED_ADDRESSES).size]).toEqual([48, 10]);
});

test.each(DENIED_ADDRESSES)('%s is not public', (address) => {
  expect(isPublic(address)).toBe(false);
});

test.each(ALLOWED_ADDRESSES)('%s is public', (address) => {
  expect(isPublic(address)).toBe(true);
});

test('what is no address is not public', () => {
  for (const text of ['', 'example.com', '1.2.3', 'fe80::1%eth0']) expect(isPublic(text), text).toBe(false);
});
