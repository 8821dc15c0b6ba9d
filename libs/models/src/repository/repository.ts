/** The model repository as it stands: `models/<name>/<version>/`, or `models/<name>/` for a model with one version. */
import { lstat, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { Model } from '../types.js';
import { type Aliases, NO_ALIASES, oddAliases, readAliases } from './aliases.js';
import { invalid } from './files.js';
import { readFolder } from './folder.js';
import { GraphIdentities } from './graph-identity.js';
import { type ReadVersion, withQuality } from './quality.js';
import { collect, findVersionFolders, type ModelProblem, type VersionFolder } from './version-folders.js';

export interface Repository {
  /** Every version in every variant; by name, newest version first, default variant first. */
  readonly models: readonly Model[];
  /** What `models.json` says. */
  readonly aliases: Aliases;
  readonly problems: readonly ModelProblem[];
}

/**
 * Reads every model folder below `root`; a broken one becomes a problem and hides no other. Throws `model_invalid` only
 * where `root` itself cannot be read. Folders may change later: watchRepository sees that.
 */
export async function openRepository(root: string): Promise<Repository> {
  const real = await findRoot(root);
  const { folders, problems: found } = await findVersionFolders(real);
  const identities = new GraphIdentities();
  const models: Model[] = [];
  const problems = [...found];
  for (const folder of folders) {
    await collect(problems, folder.path, async () => {
      const version = await readVersion(real, folder, identities);
      models.push(...version.models);
      problems.push(...ignoredProblems(folder.path, version));
    });
  }
  let aliases = NO_ALIASES;
  await collect(problems, ALIASES_FILE, async () => {
    aliases = await readAliases(real);
  });
  return { models, aliases, problems: [...problems, ...aliasProblems(aliases, models)] };
}

export const ALIASES_FILE = 'models.json';

/** What is odd about names that can be read. */
export function aliasProblems(aliases: Aliases, models: readonly Model[]): readonly ModelProblem[] {
  return oddAliases(aliases, models).map((message) => ({ folder: ALIASES_FILE, message }));
}

/** `root` without links. @throws ShoalError `model_invalid` */
export async function findRoot(root: string): Promise<string> {
  return await realpath(root).catch((cause: unknown) => {
    throw invalid(`the model folder ${root} cannot be read`, cause);
  });
}

/** What of a folder is not used although it is served. */
export function ignoredProblems(folder: string, { ignored }: ReadVersion): readonly ModelProblem[] {
  return ignored.map((message) => ({ folder, message, served: true }));
}

/** @throws ShoalError `model_invalid` */
export async function readVersion(
  root: string,
  { name, version, path }: VersionFolder,
  identities: GraphIdentities,
): Promise<ReadVersion> {
  const folder = join(root, path);
  if (!(await lstat(folder)).isDirectory()) throw invalid('is not a folder');
  return await withQuality(folder, await readFolder(name, version, folder), identities);
}
