/**
 * Which graph a file holds: the bytes of an ONNX file and of the files that its weights are in. What was measured of a graph is true
 * of these bytes and no others; whether they are still the same is told by sizes, times and inodes, and read only where these differ.
 */
import { createHash, type Hash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type GraphIdentity, ShoalError } from '@shoal/contracts';
import { readSignature } from '@shoal/onnx';
import { FileHashes } from './file-hashes.js';

/** The ONNX file first, the others by their names. @throws ShoalError `model_invalid` where `path` is no ONNX model */
export function graphFiles(path: string): readonly string[] {
  return [path, ...[...readSignature(path).externalFiles].sort().map((location) => join(dirname(path), location))];
}

/** A worker that loads a model asks up to three times: who it is, whether it was tuned, and whether its rows were proved independent. */
const HASHES = new FileHashes();

/**
 * A SHA-256 that more may be added to, of all files one after the other; read once at most for as long as they do not change.
 *
 * @throws ShoalError as graphFiles; the signal's reason
 */
export async function hashGraph(path: string, signal?: AbortSignal): Promise<Hash> {
  return await HASHES.of(graphFiles(path), signal);
}

/**
 * Size, time of the last change in ns and inode of a file; of several, how many and a hash of these. They stay the same when a file is
 * moved on its disk.
 */
export async function stampOf(files: readonly string[]): Promise<string> {
  const stats = await Promise.all(files.map((file) => stat(file, { bigint: true })));
  const stamps = stats.map(({ size, mtimeNs, ino }) => `${size} ${mtimeNs} ${ino}`);
  if (stamps.length === 1) return stamps[0]!;
  return `${files.length} files ${createHash('sha256').update(stamps.join()).digest('hex')}`;
}

/** Times that a graph is read whose files look different afterwards. */
const READS = 3;

/**
 * On file systems whose inodes come and go the same bytes twice are one graph, whatever it looks like.
 *
 * @throws ShoalError `model_invalid` where it is no graph, or is replaced just now; the signal's reason
 */
export async function identityOf(path: string, signal?: AbortSignal): Promise<GraphIdentity> {
  let before: string | undefined;
  for (let read = 0; read < READS; read++) {
    const stamp = await stampOf(graphFiles(path));
    const sha256 = (await hashGraph(path, signal)).digest('hex');
    if (sha256 === before || (await stampOf(graphFiles(path))) === stamp) return { sha256, stamp };
    before = sha256;
  }
  throw new ShoalError('model_invalid', `${path} was replaced while it was read`);
}

/** Of a file: the graph that it holds, with its stamp as it lies here. */
type Read = GraphIdentity | { readonly fault: string | null };

/** That it is the graph, with its stamp as it lies here; that it is another one; or why that cannot be told, null where it is being read. */
export type Compared = GraphIdentity | 'other' | { readonly fault: string | null };

/** Compares graphs with what is known of them, and reads each of them once at most for as long as it does not change. */
export class GraphIdentities {
  /** By path, as they were read last. */
  readonly #read = new Map<string, GraphIdentity>();
  /** Why the last try to read it has failed. */
  readonly #faults = new Map<string, string>();
  readonly #reading = new Set<string>();
  /** The end of the last of these: one file is read at a time. */
  #last: Promise<void> = Promise.resolve();
  readonly #behind: AbortSignal | undefined;

  /** `behind`: nobody waits while a file is read, which ends when this aborts; who asks is told that it is being read. */
  constructor(behind?: AbortSignal) {
    this.#behind = behind;
  }

  /** Whether the file at `path` holds this graph. Copies do. What has failed to be read is tried again each time. */
  async compare(path: string, wanted: GraphIdentity): Promise<Compared> {
    try {
      const stamp = await stampOf(graphFiles(path));
      if (stamp === wanted.stamp) return wanted;
      const found = await this.#readOf(path, stamp);
      if ('fault' in found) return found;
      return found.sha256 === wanted.sha256 ? found : 'other';
    } catch (error) {
      return { fault: faultOf(error) };
    }
  }

  async #readOf(path: string, stamp: string): Promise<Read> {
    const known = this.#read.get(path);
    if (known?.stamp === stamp) return known;
    if (this.#behind === undefined) {
      const read = await identityOf(path);
      this.#read.set(path, read);
      return read;
    }
    if (!this.#reading.has(path)) this.#readBehind(path, this.#behind);
    return { fault: this.#faults.get(path) ?? null };
  }

  #readBehind(path: string, signal: AbortSignal): void {
    this.#reading.add(path);
    this.#last = this.#last.then(async () => {
      try {
        this.#read.set(path, await identityOf(path, signal));
        this.#faults.delete(path);
      } catch (error) {
        this.#faults.set(path, faultOf(error));
      }
      this.#reading.delete(path);
    });
  }
}

function faultOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code === undefined || error instanceof ShoalError
    ? (error as Error).message
    : (error as NodeJS.ErrnoException).code!;
}
