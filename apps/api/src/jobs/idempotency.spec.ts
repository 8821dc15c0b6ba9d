import { expect, test } from 'vitest';
import { fingerprint } from './idempotency.js';

test('a fingerprint ignores the order of keys and nothing else', () => {
  const one = fingerprint('/v1/jobs', { model: 'a', input: [1, { x: 1, y: 2 }] });
  expect(fingerprint('/v1/jobs', { input: [1, { y: 2, x: 1 }], model: 'a' })).toBe(one);
  const others = [
    fingerprint('/v1/jobs', { model: 'a', input: [{ x: 1, y: 2 }, 1] }),
    fingerprint('/v1/jobs', { model: 'a', input: [1, { x: 1, y: '2' }] }),
    fingerprint('/v1/jobs', { model: 'a', input: [1, { x: 1, y: 2, z: null }] }),
    fingerprint('/v1/jobs/bulk', { model: 'a', input: [1, { x: 1, y: 2 }] }),
  ];
  expect(new Set([one, ...others]).size).toBe(5);
});
