/** Blobs as objects of a bucket, by their keys behind a prefix. */
import { DeleteObjectCommand, HeadObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { unavailable } from '../failures.js';
import { Incoming, only } from '../incoming.js';
import { checkKey, checkPrefix, isKey } from '../keys.js';
import { checkRange, sliceOf } from '../slice.js';
import type { Listed, Reading, ReadOptions, Store, WriteOptions, Written } from '../store.js';
import { openClient, PATIENCE, type Patience, type Place, type S3Settings } from './client.js';
import { chunksOf, type Found } from './download.js';
import { explainS3, isStatus } from './explain.js';
import { upload } from './upload.js';

/** Pages in a row without a key: some stores make them of what was deleted. */
const MAX_EMPTY_PAGES = 1000;
/** What `check` writes. No segment of a key has a `~`. */
const CHECK = '~check';
const CHECK_BYTES = Buffer.from('Shoal writes this to see whether it can.\n');

/** Asks the store for nothing yet. */
export function openS3(bucket: string, prefix: string, settings: S3Settings, patience: Patience = PATIENCE): Store {
  const client = openClient(settings, patience);
  return new S3Store({ client, bucket, root: prefix === '' ? '' : `${prefix}/`, patience });
}

class S3Store implements Store {
  readonly #place: Place;
  readonly #client: S3Client;

  constructor(place: Place) {
    this.#place = place;
    this.#client = place.client;
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, options: WriteOptions = {}): Promise<Written> {
    checkKey(key);
    return await this.#write(key, new Incoming(source, options), options.signal);
  }

  async read(key: string, { range, signal }: ReadOptions = {}): Promise<Reading | undefined> {
    checkKey(key);
    checkRange(range);
    const found = await this.#find(key, signal);
    if (found === undefined) return undefined;
    const slice = sliceOf(range, found.bytes);
    return { bytes: slice.end - slice.first, stream: chunksOf(this.#place, found, slice, signal) };
  }

  async size(key: string): Promise<number | undefined> {
    checkKey(key);
    return (await this.#find(key))?.bytes;
  }

  async remove(key: string): Promise<void> {
    checkKey(key);
    try {
      await this.#client.send(new DeleteObjectCommand(this.#named(key)));
    } catch (error) {
      if (isStatus(error, 404) && (error as Error).name !== 'NoSuchBucket') return;
      throw explainS3(error);
    }
  }

  async *list(prefix: string): AsyncGenerator<Listed, void, undefined> {
    checkPrefix(prefix);
    const { bucket, root } = this.#place;
    let token: string | undefined;
    for (let empty = 0; empty < MAX_EMPTY_PAGES; empty++) {
      const asked = { Bucket: bucket, Prefix: `${root}${prefix}`, ContinuationToken: token };
      const page = await this.#client.send(new ListObjectsV2Command(asked)).catch((error: unknown) => {
        throw explainS3(error);
      });
      for (const { Key = '', Size = Number.NaN, LastModified } of page.Contents ?? []) {
        const key = Key.slice(root.length);
        // What else lies there is not ours.
        if (!Key.startsWith(root) || !key.startsWith(prefix) || !isKey(key)) continue;
        yield { key, bytes: bytesOf(Size), modifiedAt: timeOf(LastModified) };
      }
      if (page.IsTruncated !== true) return;
      const next = page.NextContinuationToken;
      if (next === undefined || next === token) throw unavailable('lists files without an end');
      token = next;
      if ((page.Contents ?? []).length > 0) empty = -1;
    }
    throw unavailable('lists files without an end');
  }

  /** Writes a small object, the same one each time, and reads it: two requests. */
  async check(): Promise<void> {
    await this.#write(CHECK, new Incoming(only(CHECK_BYTES)));
    const bytes = CHECK_BYTES.length;
    // Of whichever process was the last to write it.
    const found = { key: this.#named(CHECK).Key, bytes, tag: undefined };
    const chunks: Uint8Array[] = [];
    for await (const chunk of chunksOf(this.#place, found, { first: 0, end: bytes }, undefined)) chunks.push(chunk);
    if (!Buffer.concat(chunks).equals(CHECK_BYTES)) throw unavailable('reads something else than was written');
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  async #write(key: string, incoming: Incoming, signal?: AbortSignal): Promise<Written> {
    try {
      await upload(this.#place, key, incoming, signal);
      return incoming.written;
    } catch (error) {
      if (incoming.isOwn(error)) throw error;
      signal?.throwIfAborted();
      throw explainS3(error);
    }
  }

  /** Undefined where nothing is. (Of a bucket that is not there, S3 says the same; `check` tells.) */
  async #find(key: string, signal?: AbortSignal): Promise<Found | undefined> {
    const named = this.#named(key);
    try {
      const options = signal === undefined ? {} : { abortSignal: signal };
      const { ContentLength, ETag } = await this.#client.send(new HeadObjectCommand(named), options);
      if (!ETag) throw unavailable('does not answer as S3 does: a file has no tag');
      return { key: named.Key, bytes: bytesOf(ContentLength), tag: ETag };
    } catch (error) {
      signal?.throwIfAborted();
      if (isStatus(error, 404)) return undefined;
      throw explainS3(error);
    }
  }

  #named(key: string) {
    return { Bucket: this.#place.bucket, Key: `${this.#place.root}${key}` };
  }
}

function bytesOf(size: number | undefined): number {
  if (size !== undefined && Number.isSafeInteger(size) && size >= 0) return size;
  throw unavailable('does not answer as S3 does: a file has no size');
}

function timeOf(date: Date | undefined): number {
  const ms = date?.getTime() ?? Number.NaN;
  if (Number.isSafeInteger(ms)) return ms;
  throw unavailable('does not answer as S3 does: a file has no date');
}
