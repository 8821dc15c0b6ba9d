/**
 * A folder that is there when all of it is: it is filled under a hidden name beside its place, written to the disk, and then
 * renamed. What a pull that was stopped leaves lies under the hidden name, which the next one of the same contents finds.
 */
import { mkdir, open, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parseJsonFile } from '@shoal/contracts';
import { z } from 'zod';
import { isOfDisk, unavailable } from '../faults.js';
import { lockFolder } from './lock.js';

/** In the folder, of what it was made from. Its name begins with a dot, as that of no file of a source does. */
export const RECORD = '.pulled.json';

export interface Placing {
  readonly target: string;
  /** Hexadecimal; the same for the same contents. */
  readonly key: string;
  /** Kept in the folder beside the key. */
  readonly record: Readonly<Record<string, unknown>>;
  /** Fills a folder, which may hold what an earlier try left. */
  readonly fill: (folder: string) => Promise<void>;
}

/**
 * Resolves to whether the folder was made now, and not there already.
 *
 * @throws ShoalError `source_unavailable` where the place is taken, or another process is at it; whatever `fill` throws
 */
export async function place(placing: Placing): Promise<boolean> {
  try {
    return await put(placing);
  } catch (error) {
    throw isOfDisk(error) ? unavailable(`${placing.target} cannot be made (${error.code}).`, error) : error;
  }
}

async function put({ target, key, record, fill }: Placing): Promise<boolean> {
  const parent = dirname(target);
  const made = await mkdir(parent, { recursive: true });
  const partial = join(parent, `.${basename(target)}.${key}.partial`);
  const unlock = await lockFolder(partial);
  try {
    if (await isThere(target, key)) return false;
    await mkdir(partial, { recursive: true });
    // From the beginning: it tells of a pull that was stopped, too, what it was of.
    await writeFile(join(partial, RECORD), `${JSON.stringify({ key, ...record }, null, 2)}\n`);
    await fill(partial);
    await flushFolders(partial);
    return await putInPlace(partial, target, key);
  } finally {
    await removeEmpty(partial, made ?? partial);
    unlock();
  }
}

/** @throws ShoalError `source_unavailable` where something else is there */
async function isThere(target: string, key: string): Promise<boolean> {
  const names = await readdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw unavailable(`${target} is there and is no folder that can be read (${error.code}).`, error);
  });
  if (names === undefined || names.length === 0) return false;
  if ((await keyOf(target)) === key) return true;
  throw unavailable(`${target} is there and holds something else: remove it first, or name another folder with --to.`);
}

const Kept = z.object({ key: z.string() });

async function keyOf(folder: string): Promise<string | undefined> {
  try {
    return Kept.safeParse(parseJsonFile(await readFile(join(folder, RECORD)))).data?.key;
  } catch {
    return undefined;
  }
}

async function putInPlace(partial: string, target: string, key: string): Promise<boolean> {
  try {
    await rename(partial, target);
  } catch (error) {
    // Another machine was sooner, or took the folder away with what it had finished.
    if (!(await isThere(target, key))) throw error;
    await rm(partial, { recursive: true, force: true });
    return false;
  }
  await flush(dirname(target));
  return true;
}

/** Names are part of folders: without this a machine that fails has the files and not their names. */
async function flushFolders(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isDirectory()) await flush(join(entry.parentPath, entry.name));
  }
  await flush(folder);
}

async function flush(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A folder in which nothing came about, and those above it that were made for it, down to `top`. */
async function removeEmpty(partial: string, top: string): Promise<void> {
  const left = await stat(partial).catch(() => undefined);
  if (left?.isDirectory()) {
    const files = await readdir(partial, { withFileTypes: true, recursive: true });
    if (files.every((entry) => entry.isDirectory() || entry.name === RECORD)) await rm(partial, { recursive: true });
  }
  for (let next = dirname(partial); next.length >= top.length && next.startsWith(top); next = dirname(next)) {
    const removed = await rmdir(next).then(
      () => true,
      () => false,
    );
    if (!removed) return;
  }
}
