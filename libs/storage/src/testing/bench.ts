/** Stores of both kinds for specs, each with a way to see what lies in it. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BucketObject, type S3Server, startS3 } from '@shoal/sources/testing';
import { onTestFinished, vi } from 'vitest';
import { openStore } from '../open-store.js';
import type { Patience } from '../s3/client.js';
import type { Reading, Store } from '../store.js';

export interface Bench {
  readonly store: Store;
  /** Another process's view of the same. */
  readonly another: () => Promise<Store>;
  /** How many unfinished writes lie there. */
  readonly leftovers: () => number;
}

export interface DiskBench extends Bench {
  readonly folder: string;
}

export interface S3Bench extends Bench {
  readonly server: S3Server;
  readonly objects: Record<string, BucketObject>;
}

/** For servers that answer; what is silent is given less. */
const PATIENT: Patience = { headMs: 60_000, stallMs: 60_000, tries: 4 };

export async function diskBench(clock = Date.now): Promise<DiskBench> {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-storage-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const another = () => openStore(pathToFileURL(folder).href, { clock });
  const leftovers = () => readdirSync(join(folder, '~writing')).length;
  return { store: await another(), another, leftovers, folder };
}

export async function s3Bench(patience: Partial<Patience> = {}, pageSize = 1000): Promise<S3Bench> {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKCANARY');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  vi.stubEnv('AWS_CONFIG_FILE', '/none');
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/none');
  const objects: Record<string, BucketObject> = {};
  const server = await startS3({ name: 'bucket', accessKeyId: 'AKCANARY', objects, pageSize });
  const stores: Store[] = [];
  const another = async () => {
    const s3 = { endpoint: server.url, region: undefined };
    const store = await openStore('s3://bucket/shoal', { clock: Date.now, s3, patience: { ...PATIENT, ...patience } });
    stores.push(store);
    return store;
  };
  onTestFinished(async () => {
    vi.unstubAllEnvs();
    await Promise.all(stores.map((store) => store.close()));
    await server.close();
  });
  return { store: await another(), another, leftovers: () => server.uploads.size, server, objects };
}

/** In chunks of `size`, in memory that is used again for each. */
export async function* chunked(bytes: Uint8Array, size = bytes.length): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(size);
  for (let at = 0; at < bytes.length; at += size) {
    const part = bytes.subarray(at, at + size);
    memory.set(part);
    yield memory.subarray(0, part.length);
  }
}

export const text = (words: string) => chunked(Buffer.from(words));

export async function bytesOf(reading: Reading | undefined): Promise<Buffer> {
  if (reading === undefined) throw new Error('nothing is there');
  const chunks: Uint8Array[] = [];
  for await (const chunk of reading.stream) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  if (bytes.length !== reading.bytes) throw new Error(`${bytes.length} bytes, announced as ${reading.bytes}`);
  return bytes;
}

export async function textOf(store: Store, key: string): Promise<string> {
  return (await bytesOf(await store.read(key))).toString('utf8');
}

/** Bytes that are not those of another place or seed. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let at = 0; at < length; at++) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

export async function keysOf(store: Store, prefix = ''): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys.sort();
}
