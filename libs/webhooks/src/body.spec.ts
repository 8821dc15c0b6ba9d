import { expect, test } from 'vitest';
import { bodyOf, MAX_BODY_BYTES } from './body.js';

const AT = Date.parse('2026-01-05T09:30:00Z');
const parse = (body: Buffer) => JSON.parse(body.toString()) as unknown;

test('holds the fullest data that fits', () => {
  const full = { output: 'ü'.repeat(MAX_BODY_BYTES / 2) };
  expect(parse(bodyOf('job.completed', AT, [full, { thin: true }]))).toEqual({
    type: 'job.completed',
    timestamp: '2026-01-05T09:30:00.000Z',
    data: { thin: true },
  });
  expect(parse(bodyOf('job.completed', AT, [{ output: 1 }, { thin: true }]))).toHaveProperty('data.output', 1);
});

test('is never left out', () => {
  expect(bodyOf('job.failed', AT, ['x'.repeat(MAX_BODY_BYTES)]).length).toBeGreaterThan(MAX_BODY_BYTES);
});
