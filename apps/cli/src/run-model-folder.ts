/** Which model `shoal run` is asked for: a folder anywhere, or a name as jobs give it, of one in the folder of models. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ModelSelector, parseSelector } from '@shoal/contracts';
import { readAliases } from '@shoal/models';
import { UserError } from '@shoal/tools/user-error';

export interface FoundModel {
  readonly folder: string;
  /** Undefined: the newest. */
  readonly version: string | undefined;
  /** Undefined: the first. */
  readonly variant: string | undefined;
}

/** `variant`: what was asked for beside the name. @throws UserError saying what there is instead */
export async function findModel(asked: string, variant: string | undefined, models: string): Promise<FoundModel> {
  const kind = await kindOf(asked);
  if (kind === 'folder') return { folder: asked, version: undefined, variant };
  if (kind === 'file') {
    throw new UserError(`${asked} is a file: "npx shoal import ${asked}" makes a model of it, which runs by its name.`);
  }
  const selector = await behindAlias(asked, models);
  const { name, ...part } = parseSelector(selector);
  const folder = join(models, name);
  if (!ModelSelector.safeParse(selector).success || (await kindOf(folder)) !== 'folder') {
    const meant = selector === asked ? '' : `, which stands for ${selector},`;
    throw new UserError(
      `there is no folder ${asked}, and no model of this name${meant} in ${models}: "npx shoal models ls" lists those that are.`,
    );
  }
  if (variant !== undefined && part.variant !== undefined && part.variant !== variant) {
    throw new UserError(
      `${asked} is the variant ${part.variant}, and --variant says ${variant}: leave one of them out.`,
    );
  }
  return { folder, version: part.version, variant: part.variant ?? variant };
}

/** Of several models that share a name, the one with the largest share. */
async function behindAlias(asked: string, models: string): Promise<string> {
  const shares = (await readAliases(models)).get(asked) ?? [];
  return [...shares].sort((a, b) => b.weight - a.weight)[0]?.target ?? asked;
}

async function kindOf(path: string): Promise<'folder' | 'file' | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? undefined : found.isDirectory() ? 'folder' : 'file';
}
