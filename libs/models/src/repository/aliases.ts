/**
 * `models.json` in the repository: further names for models, each for one or, by shares, for several.
 *
 *     { "aliases": { "prod": "topic@2", "small": "topic:int8", "topic": { "topic@1": 95, "topic@2": 5 } } }
 *
 * An alias may have the name of a model: then it says what that name alone stands for.
 */
import { describeIssue, ModelName, ModelSelector, parseSelector } from '@shoal/contracts';
import { z } from 'zod';
import type { Model } from '../types.js';
import { readJson } from './files.js';
import { selects } from './selection.js';

/** Most names, and most models that one stands for. */
const MAX_ALIASES = 1000;
const MAX_SHARES = 16;
const SHARE = 'its share must be a number';

const Weight = z
  .number(`${SHARE}, such as 95`)
  .min(0, `${SHARE} of 0 or more`)
  .max(1e9, `${SHARE} of at most 1,000,000,000`);

const Shares = z
  .record(ModelSelector, Weight)
  .refine((shares) => Object.keys(shares).length <= MAX_SHARES, `has more than ${MAX_SHARES} models`)
  .refine((shares) => Object.values(shares).some((weight) => weight > 0), 'has no share above 0');

/** A union would only say that neither fits. */
const Target = z.unknown().transform((value, context): string | Readonly<Record<string, number>> => {
  const schema = typeof value === 'string' ? ModelSelector : Shares;
  if (schema === Shares && (typeof value !== 'object' || value === null || Array.isArray(value))) {
    context.addIssue('must be a model, such as "topic@2", or shares, such as {"topic@1": 95, "topic@2": 5}');
    return z.NEVER;
  }
  const result = schema.safeParse(value, { error: describeIssue });
  if (result.success) return result.data;
  for (const { path, message } of result.error.issues) context.addIssue({ code: 'custom', path, message });
  return z.NEVER;
});

const AliasesFile = z.strictObject({
  aliases: z
    .record(ModelName, Target)
    .refine((aliases) => Object.keys(aliases).length <= MAX_ALIASES, `at most ${MAX_ALIASES} aliases`)
    .default({}),
});

export interface Share {
  /** As ModelSelector. */
  readonly target: string;
  /** Relative to the others of its alias; above 0. */
  readonly weight: number;
}

/** alias → what it stands for. */
export type Aliases = ReadonlyMap<string, readonly Share[]>;

export const NO_ALIASES: Aliases = new Map();

/** None where there is no such file. @throws ShoalError `model_invalid` naming what is wrong in it */
export async function readAliases(root: string): Promise<Aliases> {
  const file = await readJson(root, 'models.json', AliasesFile);
  return new Map(
    Object.entries(file?.aliases ?? {}).map(([name, target]) => {
      const shares = typeof target === 'string' ? { [target]: 1 } : target;
      const all = Object.entries(shares).map(([selector, weight]) => ({ target: selector, weight }));
      return [name, all.filter(({ weight }) => weight > 0)];
    }),
  );
}

/** What is odd about names though they can be read: those that lead nowhere, or to models that take different inputs. */
export function oddAliases(aliases: Aliases, models: readonly Model[]): readonly string[] {
  const served = new Set(models.map(({ name }) => name));
  return [...aliases].flatMap(([alias, shares]) => {
    const lost = shares.flatMap(({ target }) => {
      if (models.some((model) => selects(target, model))) return [];
      const { name } = parseSelector(target);
      const why = aliases.has(name) && !served.has(name) ? 'is such a name itself: name a model' : 'is no model here';
      return [`aliases.${alias}: stands for ${target}, which ${why}`];
    });
    const meant = models.filter((model) => shares.some(({ target }) => selects(target, model)));
    const tasks = new Set(meant.map(({ task }) => task));
    return tasks.size < 2
      ? lost
      : [...lost, `aliases.${alias}: stands for models of several tasks: ${[...tasks].join(', ')}`];
  });
}
