import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { fingerprint } from './idempotency.js';

test('a fingerprint ignores the order of keys and nothing else', async () => {
  const one = await fingerprint('/v1/jobs', { model: 'a', input: [1, { x: 1, y: 2 }] });
  expect(await fingerprint('/v1/jobs', { input: [1, { y: 2, x: 1 }], model: 'a' })).toBe(one);
  const others = await Promise.all([
    fingerprint('/v1/jobs', { model: 'a', input: [{ x: 1, y: 2 }, 1] }),
    fingerprint('/v1/jobs', { model: 'a', input: [1, { x: 1, y: '2' }] }),
    fingerprint('/v1/jobs', { model: 'a', input: [1, { x: 1, y: 2, z: null }] }),
    fingerprint('/v1/jobs/bulk', { model: 'a', input: [1, { x: 1, y: 2 }] }),
  ]);
  expect(new Set([one, ...others]).size).toBe(5);
});

test('it is the hash of one text, so that keys outlive an upgrade, however large the body', async () => {
  const input = Array.from({ length: 50_000 }, (_, n) => [n, 'x']);
  const text = `/v1/jobs\n${JSON.stringify({ input, model: 'a' })}`;
  const expected = createHash('sha256').update(text).digest('hex');
  expect(await fingerprint('/v1/jobs', { model: 'a', input })).toBe(expected);
});
