/** How a folder looks without its files being read: names, sizes and times. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Most files of a folder that are looked at, and folders within folders. */
const MAX_FILES = 5000;
const MAX_DEPTH = 4;
/** Files that copying programs leave until they are done: of rsync (`.name.Xa3f9Q`), downloads, Shoal's own. */
const UNDER_WAY = /(^\..+\.[A-Za-z0-9]{6}|\.(part|partial|tmp|incomplete|crdownload|download))$/;

export interface FolderPrint {
  /** Another one where anything has changed. */
  readonly text: string;
  /** A file of it that is being copied, relative to the folder; undefined: there is none. */
  readonly copying: string | undefined;
  /** When the last of its files was changed, or put there: Unix ms. */
  readonly changedAt: number;
}

/** Of a folder or a file. Undefined where there is nothing, null where it cannot be looked at. */
export async function printOf(path: string): Promise<FolderPrint | undefined | null> {
  const found: Found = { lines: [], copying: undefined, changedAt: 0 };
  try {
    await look(found, path, '', 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && found.lines.length === 0 ? undefined : null;
  }
  const { lines, copying, changedAt } = found;
  return { text: lines.join('\n'), copying, changedAt };
}

interface Found {
  readonly lines: string[];
  copying: string | undefined;
  changedAt: number;
}

async function look(found: Found, path: string, name: string, depth: number): Promise<void> {
  const stat = await lstat(path);
  found.changedAt = Math.max(found.changedAt, stat.ctimeMs);
  if (!stat.isDirectory()) {
    if (UNDER_WAY.test(name.split('/').at(-1)!)) found.copying ??= name;
    found.lines.push(`${name} ${stat.size} ${stat.mtimeMs}`);
    return;
  }
  found.lines.push(`${name}/`);
  if (depth === MAX_DEPTH) return;
  const names = await readdir(path);
  for (const entry of names.sort()) {
    if (found.lines.length >= MAX_FILES) return;
    await look(found, join(path, entry), name === '' ? entry : `${name}/${entry}`, depth + 1);
  }
}
