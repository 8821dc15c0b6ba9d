/** What is wrong with a value, in Shoal's words instead of zod's. A message that a schema has of its own goes before these. */
import type { z } from 'zod';

/** What a value of zod's types is called where JSON is written. */
const TYPES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'an array',
  object: 'an object',
  record: 'an object',
};

const FORMATS: Readonly<Record<string, string>> = {
  base64: 'base64',
  datetime: 'an RFC 3339 time with an offset',
};

/** What the lengths of things count. */
const UNITS: Readonly<Record<string, string>> = {
  string: 'characters',
  array: 'entries',
  object: 'entries',
  record: 'entries',
  map: 'entries',
};

/** For `safeParse(value, { error: describeIssue })`. Never shows the value, which may be anything. */
export function describeIssue(issue: z.core.$ZodRawIssue): string {
  if (issue.input === undefined && (issue.code === 'invalid_type' || issue.code === 'invalid_value')) return 'required';
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${TYPES[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return tooSmall(issue);
    case 'too_big':
      return issue.inclusive === false
        ? `must be less than ${issue.maximum}`
        : bound(issue.origin, 'at most', issue.maximum);
    case 'invalid_format':
      return formatFault(issue);
    case 'unrecognized_keys':
      return `unknown ${issue.keys.length === 1 ? 'field' : 'fields'} ${issue.keys.join(', ')}`;
    case 'invalid_key':
      return `its name is not valid: ${issue.issues[0]?.message ?? 'it is none'}`;
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    default:
      return 'is not valid';
  }
}

function tooSmall({ origin, minimum, inclusive }: z.core.$ZodRawIssue<z.core.$ZodIssueTooSmall>): string {
  if (inclusive === false) return `must be more than ${minimum}`;
  return origin in UNITS && Number(minimum) === 1 ? 'must not be empty' : bound(origin, 'at least', minimum);
}

function bound(origin: string, which: 'at least' | 'at most', limit: number | bigint): string {
  const unit = UNITS[origin];
  return unit === undefined ? `must be ${which} ${limit}` : `must have ${which} ${limit} ${unit}`;
}

function formatFault({ format, pattern }: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidStringFormat>): string {
  return format === 'regex' ? `must match ${pattern}` : `must be ${FORMATS[format] ?? format}`;
}
