import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { ShoalError } from './errors.js';
import { parse } from './faults.js';
import { JobRequest } from './job.js';
import { listOf, requestObject, TokenIds } from './request.js';
import { TensorsParameters, TextInput } from './tasks.js';

const messages = (schema: z.ZodType, value: unknown) =>
  schema.safeParse(value).error?.issues.map(({ message }) => message);

describe('an object that a caller sends', () => {
  const schema = requestObject({ a: z.string().optional(), b: z.int().default(7), c: z.string() });

  test('takes null for left out, defaults included', () => {
    expect(schema.parse({ a: null, b: null, c: 'x' })).toEqual({ b: 7, c: 'x' });
  });

  test('misses what is required also where it is null, and what it does not know only where it is not', () => {
    expect(schema.safeParse({ c: null }).error?.issues[0]?.path).toEqual(['c']);
    expect(schema.safeParse({ c: 'x', d: null }).success).toBe(true);
    expect(schema.safeParse({ c: 'x', d: 1 }).success).toBe(false);
  });

  test('is not a list, a text or nothing', () => {
    for (const value of [[], 'x', null, undefined]) expect(schema.safeParse(value).success).toBe(false);
  });

  test('leaves null inside its values alone', () => {
    expect(JobRequest.parse({ model: 'm', input: { x: [null] } }).input).toEqual({ x: [null] });
  });
});

test('a list that is too long is one fault, whatever is in it', () => {
  expect(messages(listOf(z.string(), 3, 'words'), Array(400_000).fill(7))).toEqual(['give 1 to 3 words']);
  expect(messages(TensorsParameters, { outputs: Array(400_000).fill(7) })).toHaveLength(1);
});

test('a rule that a value breaks in two ways is told once', () => {
  const told = faultsOf(JobRequest, { model: 'm', input: 'a', retention: 1e18 });
  expect(told).toMatchObject([{ path: 'retention' }]);
});

test('token ids are refused at the first that is none', () => {
  expect(TokenIds.safeParse([1, -1, 'x', 2.5]).error?.issues).toMatchObject([{ path: [1] }]);
  expect(messages(TextInput, { tokens: Array(400_000).fill(-1) })).toHaveLength(1);
  for (const ids of [[], [2 ** 53], [null]]) expect(TokenIds.safeParse(ids).success).toBe(false);
  expect(TokenIds.parse([0, 4_294_967_296])).toEqual([0, 4_294_967_296]);
});

function faultsOf(schema: z.ZodType, value: unknown): unknown {
  try {
    return parse(schema, value);
  } catch (error) {
    return (error as ShoalError).faults;
  }
}
