/**
 * `models.json` in the repository: further names for models, each for one or, by shares, for several.
 *
 *     { "aliases": { "prod": "topic@2", "small": "topic:int8", "topic": { "topic@1": 95, "topic@2": 5 } } }
 *
 * An alias may have the name of a model: then it says what that name alone stands for.
 */
import { ModelName, ModelSelector } from '@shoal/contracts';
import { z } from 'zod';
import { readJson } from './files.js';

/** Most names, and most models that one stands for. */
const MAX_ALIASES = 1000;
const MAX_SHARES = 16;

const Shares = z
  .record(ModelSelector, z.number().min(0).max(1e9))
  .refine((shares) => Object.keys(shares).length <= MAX_SHARES, `at most ${MAX_SHARES} models`)
  .refine((shares) => Object.values(shares).some((weight) => weight > 0), 'one share must be above 0');

const AliasesFile = z.strictObject({
  aliases: z
    .record(ModelName, z.union([ModelSelector, Shares]))
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
