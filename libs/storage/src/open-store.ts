/** From a URL to the store that it names. */
import { fileURLToPath } from 'node:url';
import { openDisk } from './disk/disk-store.js';
import { unavailable } from './failures.js';
import { isKey } from './keys.js';
import { PATIENCE, type Patience, type S3Settings } from './s3/client.js';
import { openS3 } from './s3/s3-store.js';
import type { Store } from './store.js';

export interface StoreOptions {
  /** Unix ms: which leftovers are old. */
  readonly clock: () => number;
  /** Of `s3://`. */
  readonly s3?: S3Settings;
  /** Of `s3://`; 30 s where left out. */
  readonly patience?: Patience;
}

/** Lower case, as S3 has names of buckets. */
const S3_URL = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*?))?\/*$/;

/**
 * `file:///path` for a folder of this machine, which is made where it is not there, or `s3://bucket/prefix`, which is not asked
 * for anything yet.
 *
 * @throws ShoalError `storage_unavailable` where the URL is neither, or the folder cannot be used; `storage_full`
 */
export async function openStore(url: string, { clock, s3, patience = PATIENCE }: StoreOptions): Promise<Store> {
  const folder = folderOf(url);
  if (folder !== undefined) return await openDisk(folder, clock);
  const [, bucket, prefix = ''] = S3_URL.exec(url) ?? [];
  if (bucket !== undefined && (prefix === '' || isKey(prefix))) {
    return openS3(bucket, prefix, s3 ?? { endpoint: undefined, region: undefined }, patience);
  }
  // Not shown: there may be a password in it.
  throw unavailable('has an address that is neither file:///path nor s3://bucket/prefix');
}

/** Undefined where it names none. */
function folderOf(url: string): string | undefined {
  if (!/^file:\/\/\/[^?#]+$/.test(url)) return undefined;
  try {
    return fileURLToPath(url);
  } catch {
    return undefined;
  }
}
