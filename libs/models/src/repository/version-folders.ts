/** Where the versions of models lie in a repository: `<name>/<version>/`, or `<name>/` for a model with one version. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describeIssue, ModelName, ShoalError } from '@shoal/contracts';
import { invalid, list } from './files.js';
import { reasonOfFile, reasonOfVersion } from './not-yet.js';

/** A folder or file that cannot be served, and why. */
export interface ModelProblem {
  /** Relative to the repository: `name`, `name/version` or `models.json`. */
  readonly folder: string;
  readonly message: string;
  /** The version is served all the same, without what the message tells of. */
  readonly served?: true;
}

export interface VersionFolder {
  readonly name: string;
  readonly version: string;
  /** Relative to the repository: `name` or `name/version`. */
  readonly path: string;
}

/** By name, newest version first, and what lies there and is none. `root` is absolute, without links. */
export async function findVersionFolders(
  root: string,
): Promise<{ readonly folders: readonly VersionFolder[]; readonly problems: readonly ModelProblem[] }> {
  const folders: VersionFolder[] = [];
  const problems: ModelProblem[] = [];
  // A root that cannot be listed is no empty one.
  for (const name of (await readdir(root)).filter((entry) => !entry.startsWith('.')).sort()) {
    await collect(problems, name, async () => {
      const stat = await lstat(join(root, name));
      if (stat.isFile()) {
        const reason = reasonOfFile(root, name);
        if (reason !== undefined) throw invalid(reason);
        return;
      }
      if (stat.isSymbolicLink()) throw invalid('is a symbolic link; put the folder itself here');
      if (!stat.isDirectory()) throw invalid('is neither a file nor a folder');
      const checked = ModelName.safeParse(name, { error: describeIssue });
      if (!checked.success) throw invalid(`is not a model name: ${checked.error.issues[0]?.message ?? ''}`);
      const names = await list(join(root, name));
      const strays = names.flatMap((entry) => {
        const message = reasonOfVersion(entry);
        return message === undefined ? [] : [{ folder: `${name}/${entry}`, message }];
      });
      for (const stray of strays) problems.push(stray);
      for (const version of versions(names)) {
        // What lies there is a version by another name, and nothing else.
        if (version.folder === '' && strays.length > 0 && !names.some(isGraph)) continue;
        folders.push({
          name,
          version: version.number,
          path: version.folder === '' ? name : `${name}/${version.folder}`,
        });
      }
    });
  }
  return { folders, problems };
}

/** Newest first; a folder without any is version 1 itself. */
function versions(names: readonly string[]): readonly { readonly number: string; readonly folder: string }[] {
  const numbers = names.filter((name) => /^[1-9][0-9]{0,8}$/.test(name));
  if (numbers.length === 0) return [{ number: '1', folder: '' }];
  return numbers.sort((a, b) => Number(b) - Number(a)).map((number) => ({ number, folder: number }));
}

function isGraph(name: string): boolean {
  return name === 'onnx' || name === 'shoal.json' || name.endsWith('.onnx');
}

/** What `read` throws becomes a problem of `folder`, and hides no other. */
export async function collect(problems: ModelProblem[], folder: string, read: () => Promise<void>): Promise<void> {
  try {
    await read();
  } catch (error) {
    problems.push({ folder, message: reasonOf(error) });
  }
}

/** Anything but a fault of the folder (no permission, a disk error) is told in the system's words. */
export function reasonOf(error: unknown): string {
  return error instanceof ShoalError ? error.message : `cannot be read (${(error as Error).message})`;
}
