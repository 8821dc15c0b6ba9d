/** From a zod schema to either a typed value or one error that names what is wrong. */
import type { z } from 'zod';
import { describeIssue } from './describe-issue.js';
import { type Fault, ShoalError } from './errors.js';

/** Most faults that one answer names. */
export const MAX_FAULTS = 10;
/** Longest name of a field, and longest message, that is repeated to the caller. */
const MAX_SHOWN = 100;

/**
 * Parses `value` or throws `invalid_request` with the path of each fault, up to MAX_FAULTS. `at` is where the value stands
 * in the body.
 */
export function parse<T extends z.ZodType>(schema: T, value: unknown, at: readonly PropertyKey[] = []): z.output<T> {
  const result = schema.safeParse(value, { error: describeIssue });
  if (result.success) return result.data;
  const faults: Fault[] = [];
  for (const issue of result.error.issues) {
    if (faults.length >= MAX_FAULTS) break;
    for (const fault of issueFaults(issue, at)) {
      // A number may break several rules that have one message.
      if (!faults.some(({ path, message }) => path === fault.path && message === fault.message)) faults.push(fault);
    }
  }
  throw faultsError(faults.slice(0, MAX_FAULTS));
}

/** One error of `code` that names every fault; `advice` ends its text. */
export function faultsError(
  faults: readonly Fault[],
  code: 'invalid_request' | 'input_too_long' = 'invalid_request',
  advice = '',
): ShoalError {
  const told = faults.map(({ path, message }) => `${path}: ${message}`).join('; ');
  return new ShoalError(code, `${told}${advice}`, { faults });
}

function issueFaults(issue: z.core.$ZodIssue, at: readonly PropertyKey[]): Fault[] {
  const path = [...at, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys
      .slice(0, MAX_FAULTS)
      .map((key) => ({ path: formatPath([...path, key]), message: 'unknown field' }));
  }
  return [{ path: formatPath(path), message: shortened(issue.message) }];
}

/** `['input', 3, 'query']` → `input[3].query`; the whole body is `body`. */
export function formatPath(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'body';
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    const name = shortened(String(key));
    return text === '' ? name : `${text}.${name}`;
  }, '');
}

/** Callers choose names. */
function shortened(text: string): string {
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`;
}
