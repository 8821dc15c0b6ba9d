import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { describeIssue } from './describe-issue.js';
import { ShoalError } from './errors.js';
import { parse } from './faults.js';
import { EventsUrlRequest, JobRequest } from './job.js';
import { requestObject } from './request.js';
import { RerankRequest, TextsRerankRequest } from './rerank.js';
import { TextClassificationParameters } from './tasks.js';
import { EndpointRequest } from './webhook-endpoint.js';

const told = (schema: z.ZodType, value: unknown) =>
  schema.safeParse(value, { error: describeIssue }).error?.issues.map(({ message }) => message);

test.each([
  ['a field that is missing', requestObject({ a: z.string() }), {}, 'required'],
  ['one that is null', requestObject({ a: z.enum(['x', 'y']) }), { a: null }, 'required'],
  ['a text', z.string(), 7, 'must be a string'],
  ['a number', z.number(), 'x', 'must be a number'],
  ['a whole number', z.int(), 1.5, 'must be a whole number'],
  ['a truth value', z.boolean(), 'yes', 'must be true or false'],
  ['a list', z.array(z.unknown()), {}, 'must be an array'],
  ['an object', z.object({}), [], 'must be an object'],
  ['a map', z.record(z.string(), z.string()), null, 'must be an object'],
  ['one of several words', z.enum(['low', 'normal', 'high']), 'urgent', 'must be one of low, normal, high'],
  ['one word', z.literal('x'), 'y', 'must be x'],
  ['a number that is too small', z.int().min(1), 0, 'must be at least 1'],
  ['one that may not be zero', z.number().positive(), 0, 'must be more than 0'],
  ['a number that is too large', z.int().max(100), 101, 'must be at most 100'],
  ['a number at its bound', z.number().lt(100), 100, 'must be less than 100'],
  ['an empty text', z.string().min(1), '', 'must not be empty'],
  ['a short text', z.string().min(3), 'ab', 'must have at least 3 characters'],
  ['a long text', z.string().max(2), 'abc', 'must have at most 2 characters'],
  ['an empty list', z.array(z.unknown()).min(1), [], 'must not be empty'],
  ['a long list', z.array(z.unknown()).max(1), [1, 2], 'must have at most 1 entries'],
  [
    'a long name',
    z.record(z.string().max(2), z.string()),
    { abc: 'x' },
    'its name is not valid: must have at most 2 characters',
  ],
  ['base64', z.base64(), '?', 'must be base64'],
  ['a time', z.iso.datetime({ offset: true }), 'now', 'must be an RFC 3339 time with an offset'],
  ['a pattern', z.string().regex(/^a/), 'b', 'must match /^a/'],
  ['an unknown field', z.strictObject({}), { b: 1 }, 'unknown field b'],
  ['any of several', z.union([z.string(), z.number()]), true, 'is not valid'],
])('%s is told in our words', (_, schema, value, message) => {
  expect(told(schema, value)).toEqual([message]);
});

test('what a schema says itself goes before', () => {
  expect(told(z.int({ error: 'give whole seconds' }), 'x')).toEqual(['give whole seconds']);
});

describe("the faults of a request have no words of zod's", () => {
  test.each([
    ['a job', JobRequest, { model: 7, priority: 'urgent', metadata: 3, task: 'x', webhook: {} }],
    ['nothing', JobRequest, {}],
    ['a list', JobRequest, []],
    ['parameters', TextClassificationParameters, { top_k: 0, function_to_apply: 'x', truncate: 'x' }],
    ['an events URL', EventsUrlRequest, { expires_in: 1e9 }],
    ['documents', RerankRequest, { top_n: 'x' }],
    ['texts', TextsRerankRequest, { query: '' }],
    ['an endpoint', EndpointRequest, { url: 1, description: 'x'.repeat(300) }],
  ])('%s', (_, schema, value) => {
    const refusal = thrownBy(() => parse(schema, value));
    expect(refusal.code).toBe('invalid_request');
    expect(refusal.message).not.toMatch(/Invalid|expected|received|Too (small|big)|[<>]=?/);
  });
});

function thrownBy(call: () => unknown): ShoalError {
  try {
    call();
  } catch (error) {
    if (error instanceof ShoalError) return error;
  }
  throw new Error('expected a ShoalError');
}
