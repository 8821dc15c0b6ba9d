/** `shoal fetch-model`: one version of a model from a server into a folder, checked before it is there. */
import { mkdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { fetchUrl, type PullContext } from '@shoal/sources';
import { UserError } from '@shoal/tools/user-error';
import { unpack } from './unpack.js';

export interface FetchRequest {
  /** Without user and password. */
  readonly url: string;
  /** Of the archive; lower-case hexadecimal. */
  readonly sha256: string;
  /** The version's folder, `models/<name>/<version>`. It is there when all of it is. */
  readonly to: string;
  /** Of the archive and what it holds together. */
  readonly maxBytes: number;
}

export type FetchContext = Pick<PullContext, 'say' | 'signal' | 'allow' | 'patience'>;

/**
 * Throws a UserError with the folder not there where anything is wrong. Doing it again does nothing where the same archive
 * was unpacked already, and completes a download that was cut off.
 */
export async function fetchModel({ url, sha256, to, maxBytes }: FetchRequest, context: FetchContext): Promise<void> {
  // Model folders skip names that start with a dot.
  const beside = (suffix: string) => join(dirname(to), `.${basename(to)}.${suffix}`);
  const [mark, archive, draft] = [beside('sha256'), beside('archive'), beside('draft')];
  if (await exists(to)) {
    const found = await readFile(mark, 'utf8').catch(() => '');
    if (found.trim() !== sha256) throw new UserError(`${to} is there and came from elsewhere: remove it first.`);
    context.say(`${to} is there already`);
    return;
  }
  const made = await mkdir(dirname(to), { recursive: true });
  try {
    // What was whole and not unpacked may be of another hash; parts are looked through by the download.
    for (const left of [draft, archive]) await rm(left, { recursive: true, force: true });
    const size = await fetchUrl({ url: new URL(url), sha256, path: archive, maxBytes }, context);
    await unpackInto(draft, archive, maxBytes - size);
    await writeFile(mark, `${sha256}\n`);
    await rename(draft, to);
    const { origin, pathname } = new URL(url);
    context.say(`${to}: ${size} bytes from ${origin}${pathname}, as asked for`);
  } catch (error) {
    if (made !== undefined) await removeEmpty(dirname(to), made);
    throw error instanceof ShoalError ? new UserError(error.message) : error;
  }
}

async function unpackInto(draft: string, archive: string, maxBytes: number): Promise<void> {
  await mkdir(draft);
  try {
    await unpack(archive, draft, maxBytes);
  } catch (error) {
    await rm(draft, { recursive: true });
    throw error;
  } finally {
    await rm(archive);
  }
}

/** `folder` and what is above it, up to `top`: a folder without a version would be taken for a model. */
async function removeEmpty(folder: string, top: string): Promise<void> {
  for (let next = folder; next.startsWith(top); next = dirname(next)) {
    // What a download left to go on with stays.
    const removed = await rmdir(next).then(
      () => true,
      () => false,
    );
    if (!removed) return;
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
