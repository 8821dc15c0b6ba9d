/** Names of everything of files, in Redis and in the store. docs/redis.md tells what stands behind each key of Redis. */
import { newUlid } from '../keys.js';

/** What all files have in common, in one Cluster slot. */
export const FILES_TAG = '{shoal:files}';

/** Every key of the store that belongs to this file starts with it. */
export function filePrefix(id: string): string {
  return `files/${id}/`;
}

/** A new key for a piece of this file: of two writers of one piece each has its own, and the record names which counts. */
export function pieceKey(id: string): string {
  return `${filePrefix(id)}${newUlid(0).slice(10)}`;
}
