/** From a zod schema to either a typed value or one error that names every fault. */
import type { z } from 'zod';
import { type Fault, ShoalError } from './errors.js';

/** Parses `value` or throws `invalid_request` with the path of each fault. `at` is where the value stands in the body. */
export function parse<T extends z.ZodType>(schema: T, value: unknown, at: readonly PropertyKey[] = []): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.flatMap((issue) => issueFaults(issue, at));
  throw new ShoalError('invalid_request', faults.map((f) => `${f.path}: ${f.message}`).join('; '), { faults });
}

function issueFaults(issue: z.core.$ZodIssue, at: readonly PropertyKey[]): Fault[] {
  const path = [...at, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: formatPath([...path, key]), message: 'unknown field' }));
  }
  return [{ path: formatPath(path), message: issue.message }];
}

/** `['input', 3, 'query']` → `input[3].query`; the whole body is `body`. */
export function formatPath(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'body';
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, '');
}
