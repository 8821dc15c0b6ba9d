/** The model repository: `models/<name>/<version>/`, or `models/<name>/` for a model with one version. */
import { lstat, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { describeIssue, ModelName, ShoalError } from '@shoal/contracts';
import type { Model } from '../types.js';
import { invalid, list } from './files.js';
import { readFolder } from './folder.js';

/** A folder that cannot be served, and why. */
export interface ModelProblem {
  /** Relative to the repository: `name` or `name/version`. */
  readonly folder: string;
  readonly message: string;
}

export interface Repository {
  /** Every version in every variant; by name, newest version first, default variant first. */
  readonly models: readonly Model[];
  readonly problems: readonly ModelProblem[];
}

/**
 * Reads every model folder below `root`; a broken one becomes a problem and hides no other. Throws `model_invalid` only
 * where `root` itself cannot be read. Folders may change later: open it again to see that.
 */
export async function openRepository(root: string): Promise<Repository> {
  const real = await realpath(root).catch((cause: unknown) => {
    throw invalid(`the model folder ${root} cannot be read`, cause);
  });
  const models: Model[] = [];
  const problems: ModelProblem[] = [];
  for (const name of await list(real)) {
    const stat = await lstat(join(real, name));
    if (stat.isFile()) continue;
    await collect(problems, name, async () => {
      if (!stat.isDirectory()) throw invalid('is a symbolic link; put the folder itself here');
      const checked = ModelName.safeParse(name, { error: describeIssue });
      if (!checked.success) throw invalid(`is not a model name: ${checked.error.issues[0]?.message ?? ''}`);
      for (const version of await versions(join(real, name))) {
        const path = version.folder === '' ? name : `${name}/${version.folder}`;
        await collect(problems, path, async () => {
          const folder = join(real, path);
          if (!(await lstat(folder)).isDirectory()) throw invalid('is not a folder');
          models.push(...(await readFolder(name, version.number, folder)));
        });
      }
    });
  }
  return { models, problems };
}

/** Version folders, newest first; a folder without any is version 1 itself. */
async function versions(folder: string): Promise<readonly { readonly number: string; readonly folder: string }[]> {
  const numbers = (await list(folder)).filter((name) => /^[1-9][0-9]{0,8}$/.test(name));
  if (numbers.length === 0) return [{ number: '1', folder: '' }];
  return numbers.sort((a, b) => Number(b) - Number(a)).map((number) => ({ number, folder: number }));
}

async function collect(problems: ModelProblem[], folder: string, read: () => Promise<void>): Promise<void> {
  try {
    await read();
  } catch (error) {
    // Anything but a fault of the folder (no permission, a disk error) is reported with the folder as well.
    const message = error instanceof ShoalError ? error.message : `cannot be read (${(error as Error).message})`;
    problems.push({ folder, message });
  }
}
