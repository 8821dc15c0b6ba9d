/**
 * Which graph a file holds: the bytes of an ONNX file and of the files that its weights are in. What was measured of a graph is true
 * of these bytes and no others; whether they are still the same is told by sizes, times and inodes, and read only where these differ.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type GraphIdentity, ShoalError } from '@shoal/contracts';
import { readSignature } from '@shoal/onnx';

/** The ONNX file first, the others by their names. @throws ShoalError `model_invalid` where `path` is no ONNX model */
export function graphFiles(path: string): readonly string[] {
  return [path, ...[...readSignature(path).externalFiles].sort().map((location) => join(dirname(path), location))];
}

/** A SHA-256 that more may be added to, of all files one after the other. @throws ShoalError as graphFiles; the signal's reason */
export async function hashGraph(path: string, signal?: AbortSignal): Promise<Hash> {
  const hash = createHash('sha256');
  for (const file of graphFiles(path)) {
    await pipeline(createReadStream(file), hash, { end: false, ...(signal && { signal }) }).catch((error: unknown) => {
      throw signal?.aborted ? signal.reason : error;
    });
  }
  return hash;
}

/** Size, time of the last change in ns and inode of each of the files. They stay the same when a file is moved on its disk. */
export async function stampOf(files: readonly string[]): Promise<string> {
  const stats = await Promise.all(files.map((file) => stat(file, { bigint: true })));
  return stats.map(({ size, mtimeNs, ino }) => `${size} ${mtimeNs} ${ino}`).join(', ');
}

/** @throws ShoalError `model_invalid` where it is no graph, or is replaced just now; the signal's reason */
export async function identityOf(path: string, signal?: AbortSignal): Promise<GraphIdentity> {
  const stamp = await stampOf(graphFiles(path));
  const sha256 = (await hashGraph(path, signal)).digest('hex');
  if ((await stampOf(graphFiles(path))) !== stamp) {
    throw new ShoalError('model_invalid', `${path} was replaced while it was read`);
  }
  return { sha256, stamp };
}

/** Compares graphs with what is known of them, and reads each of them once at most for as long as it does not change. */
export class GraphIdentities {
  /** By path, as they were read last. */
  readonly #read = new Map<string, GraphIdentity>();

  /** Whether the file at `path` holds this graph. Copies do; what cannot be read does not. */
  async holds(path: string, wanted: GraphIdentity): Promise<boolean> {
    try {
      const stamp = await stampOf(graphFiles(path));
      if (stamp === wanted.stamp) return true;
      let known = this.#read.get(path);
      if (known?.stamp !== stamp) {
        known = await identityOf(path);
        this.#read.set(path, known);
      }
      return known.sha256 === wanted.sha256;
    } catch {
      return false;
    }
  }
}
