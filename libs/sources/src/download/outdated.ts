/** What stopped pulls of the same source have left that nothing can go on with: its files have changed since. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parseJsonFile } from '@shoal/contracts';
import { z } from 'zod';
import { RECORD } from './place.js';

const Record = z.object({ source: z.string(), files: z.record(z.string(), z.string()) });
export type PullRecord = z.output<typeof Record>;

/**
 * Folders that such pulls have left for the folder `target`, which is pulled now: beside it or, where it lies in `place` under the
 * key of its contents, under other keys.
 */
export async function outdated(place: string, target: string, record: PullRecord): Promise<readonly string[]> {
  const found: string[] = [];
  const keyed = dirname(target) !== place;
  const parents = keyed ? (await namesIn(place)).map((key) => join(place, key)) : [place];
  for (const parent of parents) {
    for (const name of await namesIn(parent)) {
      const [, of] = /^\.(.+)\.[0-9a-f]{16}\.partial$/.exec(name) ?? [];
      if (of !== basename(target)) continue;
      const left = await recordOf(join(parent, name));
      if (left !== undefined && isOlder(left, record)) found.push(join(parent, name));
    }
  }
  return found;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch(() => []);
}

async function recordOf(folder: string): Promise<PullRecord | undefined> {
  try {
    return Record.parse(parseJsonFile(await readFile(join(folder, RECORD))));
  } catch {
    return undefined;
  }
}

/** The same files, of which one has other contents. */
function isOlder(left: PullRecord, now: PullRecord): boolean {
  const paths = Object.keys(left.files);
  const same = paths.length === Object.keys(now.files).length && paths.every((path) => Object.hasOwn(now.files, path));
  return same && unpinned(left) === unpinned(now) && paths.some((path) => left.files[path] !== now.files[path]);
}

/** Without the commit of a hub: that changes with any file. */
function unpinned({ source }: PullRecord): string {
  return source.replace(/@[0-9a-f]{40}/, '');
}
