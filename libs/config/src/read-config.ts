/**
 * From environment variables to a frozen, typed config. Every problem is reported at once, by the variable's name and
 * never with its value, since a value may be a secret.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Environment, Problem } from './environment.js';
import { unknownSecrets } from './names.js';

/** What is wrong with the environment, one line per variable. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(({ variable, message }) => `${variable}: ${message}`).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/**
 * Reads the variables that `schema` names from `env`; others are ignored, but for those that look like a misspelt secret of Shoal.
 *
 * An empty variable counts as unset. Where `X` is unset and `X_FILE` is set, the value of `X` is that file's content
 * without the newline at its end, which is how containers hand over secrets.
 *
 * @throws ConfigError with every problem found
 */
export function readConfig<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  env: Environment,
): z.output<z.ZodObject<Shape>> {
  const problems: Problem[] = unknownSecrets(env);
  const values: Record<string, string> = {};
  for (const variable of Object.keys(schema.shape)) {
    const value = readVariable(variable, env, problems);
    if (value !== undefined) values[variable] = value;
  }
  const result = schema.safeParse(values, { error: describeUnset });
  const told = new Set(problems.map((problem) => problem.variable));
  for (const issue of result.error?.issues ?? []) {
    const variable = String(issue.path[0] ?? 'environment');
    if (told.has(variable)) continue;
    told.add(variable);
    problems.push({ variable, message: issue.message });
  }
  if (!result.success || problems.length > 0) throw new ConfigError(problems);
  return freeze(result.data);
}

function readVariable(variable: string, env: Environment, problems: Problem[]): string | undefined {
  const value = env[variable] || undefined;
  const file = env[`${variable}_FILE`] || undefined;
  if (file === undefined) return value;
  if (value !== undefined) {
    problems.push({ variable, message: `give ${variable} or ${variable}_FILE, not both` });
    return undefined;
  }
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    problems.push({ variable, message: `the file of ${variable}_FILE cannot be read${code}` });
    return undefined;
  }
}

/** A variable is a string or not there, so a missing one is all that a wrong type can mean. */
function describeUnset(issue: z.core.$ZodRawIssue): string | undefined {
  return issue.code === 'invalid_type' && issue.input === undefined ? 'must be set' : undefined;
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype) {
    for (const part of Object.values(value)) freeze(part);
    Object.freeze(value);
  }
  return value;
}
