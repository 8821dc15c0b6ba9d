/**
 * Blobs as files of a folder, by the paths that are their keys. A blob is written beside them, to the disk, and then given its
 * name, so that whatever happens it is whole where it is. Several processes may share the folder.
 */
import { randomUUID } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, opendir, realpath, rename, rm, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { changed, invalid, unavailable } from '../failures.js';
import { Incoming, only } from '../incoming.js';
import { checkKey, checkPrefix, isKey } from '../keys.js';
import { checkRange, type Slice, sliceOf } from '../slice.js';
import type { Listed, Reading, ReadOptions, Store, WriteOptions, Written } from '../store.js';
import { codeOf, explainDisk, unless } from './explain.js';

/** Of what is being written. No segment of a key has a `~`. */
const WRITING = '~writing';
/** What has grown by nothing for so long has lost its writer. */
const LEFT_AFTER_MS = 24 * 60 * 60 * 1000;
const BLOCK_BYTES = 256 * 1024;
const CHECK_BYTES = 4096;
/** How often a folder may be removed between its making and its use: whoever removes its last blob removes it. */
const TRIES = 10;
const GONE = ['ENOENT', 'ENOTDIR'];

/**
 * Makes the folder where it is not there, and removes what killed writers left in it. `clock`: Unix ms.
 *
 * @throws ShoalError `storage_unavailable`, `storage_full`
 */
export async function openDisk(folder: string, clock: () => number): Promise<Store> {
  return await explained(async () => {
    await makeFolder(join(folder, WRITING));
    const root = await realpath(folder);
    await sweep(join(root, WRITING), clock() - LEFT_AFTER_MS);
    return new DiskStore(root);
  });
}

/** With those above it. (Node's own way says ENOENT of a disk that can only be read.) */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    if (codeOf(error) !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await unless(['EEXIST'], mkdir(path, { mode: 0o700 }));
  }
}

async function sweep(writing: string, before: number): Promise<void> {
  for await (const { name } of await opendir(writing)) {
    const path = join(writing, name);
    const found = await unless(GONE, lstat(path));
    if (found?.isFile() && found.mtimeMs < before) await rm(path, { force: true });
  }
}

class DiskStore implements Store {
  /** Its real path. */
  readonly #root: string;
  readonly #writing: string;

  constructor(root: string) {
    this.#root = root;
    this.#writing = join(root, WRITING);
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, options?: WriteOptions): Promise<Written> {
    checkKey(key);
    const incoming = new Incoming(source, options);
    try {
      await this.#writeBeside(incoming, (path) => this.#putInPlace(path, key));
      return incoming.written;
    } catch (error) {
      throw incoming.isOwn(error) ? error : explainDisk(error);
    }
  }

  async read(key: string, { range, signal }: ReadOptions = {}): Promise<Reading | undefined> {
    checkKey(key);
    checkRange(range);
    signal?.throwIfAborted();
    const found = await explained(() => this.#find(key));
    if (found === undefined) return undefined;
    const slice = sliceOf(range, Number(found.size));
    return { bytes: slice.end - slice.first, stream: chunksOf(join(this.#root, key), found, slice, signal) };
  }

  async size(key: string): Promise<number | undefined> {
    checkKey(key);
    const found = await explained(() => this.#find(key));
    return found === undefined ? undefined : Number(found.size);
  }

  /** Not written to the disk at once: what a failing machine brings back is listed like the others. */
  async remove(key: string): Promise<void> {
    checkKey(key);
    await explained(async () => {
      if ((await this.#find(key)) === undefined) return;
      await unless(GONE, unlink(join(this.#root, key)));
      await this.#removeEmpty(dirname(key));
    });
  }

  async *list(prefix: string): AsyncGenerator<Listed, void, undefined> {
    checkPrefix(prefix);
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    try {
      await this.#mustBeThere();
      if (await this.#isFolder(folder.slice(0, -1))) yield* this.#listFolder(folder, prefix);
    } catch (error) {
      throw explainDisk(error);
    }
  }

  async check(): Promise<void> {
    await explained(async () => {
      const bytes = Buffer.alloc(CHECK_BYTES, randomUUID());
      await this.#writeBeside(new Incoming(only(bytes)), async (path) => {
        const handle = await open(path, constants.O_RDONLY);
        try {
          const { buffer } = await handle.read(Buffer.alloc(CHECK_BYTES));
          if (!buffer.equals(bytes)) throw unavailable('reads something else than was written');
        } finally {
          await handle.close();
        }
        await rm(path);
      });
    });
  }

  async close(): Promise<void> {}

  /** On the disk when `then` has its path, and gone when that fails. */
  async #writeBeside(incoming: Incoming, then: (path: string) => Promise<void>): Promise<void> {
    const path = join(this.#writing, randomUUID());
    const handle = await open(path, 'wx', 0o600);
    try {
      try {
        for await (const block of incoming.blocks(BLOCK_BYTES)) await writeAll(handle, block);
        await handle.sync();
      } finally {
        await handle.close();
      }
      incoming.throwIfAborted();
      await then(path);
    } catch (error) {
      await rm(path, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  async #putInPlace(path: string, key: string): Promise<void> {
    const target = join(this.#root, key);
    let made = false;
    for (let tries = 1; ; tries++) {
      try {
        if (await this.#makeFolders(dirname(key))) made = true;
        await rename(path, target);
        break;
      } catch (error) {
        if (codeOf(error) === 'EISDIR') throw invalid('key: is the folder of other keys.');
        if (codeOf(error) !== 'ENOENT' || tries === TRIES) throw error;
      }
    }
    // Names are part of folders: without this a machine that fails has the file and not its name.
    await flush(dirname(target));
    for (let folder = dirname(target); made && folder !== this.#root; ) {
      folder = dirname(folder);
      await flush(folder);
    }
  }

  /** Those of a key, one by one, so that no link among them leads elsewhere. Resolves to whether any was made. */
  async #makeFolders(folder: string): Promise<boolean> {
    let made = false;
    let path = this.#root;
    for (const segment of segmentsOf(folder)) {
      path = join(path, segment);
      made =
        (await unless(
          ['EEXIST'],
          mkdir(path, { mode: 0o700 }).then(() => true),
        )) ?? made;
      const found = await unless(['ENOENT'], lstat(path));
      if (found?.isFile()) throw invalid('key: has a key as its folder.');
      if (found !== undefined) refuseLink(found);
    }
    return made;
  }

  /** Undefined where no blob is. */
  async #find(key: string): Promise<BigIntStats | undefined> {
    const found = (await this.#isFolder(dirname(key)))
      ? await unless(GONE, lstat(join(this.#root, key), { bigint: true }))
      : undefined;
    if (found === undefined) await this.#mustBeThere();
    if (found === undefined || found.isDirectory()) return undefined;
    refuseLink(found);
    return found;
  }

  /** A disk that is not mounted any more is not one without blobs. */
  async #mustBeThere(): Promise<void> {
    await lstat(this.#writing);
  }

  /** Whether all folders of a key are there. */
  async #isFolder(folder: string): Promise<boolean> {
    let path = this.#root;
    for (const segment of segmentsOf(folder)) {
      path = join(path, segment);
      const found = await unless(GONE, lstat(path));
      if (found === undefined || found.isFile()) return false;
      refuseLink(found);
    }
    return true;
  }

  async *#listFolder(folder: string, prefix: string): AsyncGenerator<Listed, void, undefined> {
    const path = join(this.#root, folder);
    const entries = await unless(GONE, opendir(path));
    for await (const entry of entries ?? []) {
      const key = `${folder}${entry.name}`;
      if (!isKey(key)) continue;
      if (entry.isDirectory()) {
        const below = `${key}/`;
        if (below.startsWith(prefix) || prefix.startsWith(below)) yield* this.#listFolder(below, prefix);
      } else if (entry.isFile() && key.startsWith(prefix)) {
        const found = await unless(GONE, lstat(join(path, entry.name)));
        if (found?.isFile()) yield { key, bytes: found.size, modifiedAt: Math.floor(found.mtimeMs) };
      }
    }
  }

  async #removeEmpty(folder: string): Promise<void> {
    for (let next = folder; next !== '.'; next = dirname(next)) {
      // Whatever it fails of: a folder may stay.
      const removed = await rmdir(join(this.#root, next)).then(
        () => true,
        () => false,
      );
      if (!removed) return;
    }
  }
}

async function* chunksOf(
  path: string,
  found: BigIntStats,
  { first, end }: Slice,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (first === end) return;
  const handle = await explained(() => openSame(path, found));
  try {
    for (let at = first; at < end; ) {
      signal?.throwIfAborted();
      const block = Buffer.allocUnsafeSlow(Math.min(BLOCK_BYTES, end - at));
      const { bytesRead } = await explained(() => handle.read(block, 0, block.length, at));
      if (bytesRead === 0) throw unavailable('has a file that has become shorter');
      at += bytesRead;
      yield block.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

/** From here on it is there, whoever replaces or removes it. */
async function openSame(path: string, found: BigIntStats): Promise<FileHandle> {
  const handle = await unless(GONE, open(path, constants.O_RDONLY | constants.O_NOFOLLOW));
  if (handle === undefined) throw changed();
  const { ino, size, mtimeNs } = await handle.stat({ bigint: true });
  if (ino === found.ino && size === found.size && mtimeNs === found.mtimeNs) return handle;
  await handle.close();
  throw changed();
}

async function writeAll(handle: FileHandle, block: Buffer): Promise<void> {
  for (let at = 0; at < block.length; ) at += (await handle.write(block, at)).bytesWritten;
}

/** A folder that is gone was removed with its last file; some file systems cannot do this. */
async function flush(folder: string): Promise<void> {
  const handle = await unless(GONE, open(folder, constants.O_RDONLY));
  try {
    await unless(['EINVAL', 'ENOTSUP'], handle?.sync() ?? Promise.resolve());
  } finally {
    await handle?.close();
  }
}

function refuseLink(found: { isFile(): boolean; isDirectory(): boolean }): void {
  if (found.isFile() || found.isDirectory()) return;
  throw unavailable('has a link, or what is no file, in its folder: remove it');
}

function segmentsOf(folder: string): string[] {
  return folder.split('/').filter((segment) => segment !== '.' && segment !== '');
}

async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw explainDisk(error);
  }
}
