/**
 * The records of files. A file is begun, written piece by piece, and finished, which is when its tenant sees it; its
 * writer has to be heard of meanwhile. A record is forgotten before what the store has of the file is removed, and of which
 * files that is still to be done stands in Redis: whatever a crash leaves half done, `sweep` finds.
 */
import { randomUUID } from 'node:crypto';
import { ShoalError } from '@shoal/contracts';
import { untilConnected } from '../check-redis.js';
import { newUlid } from '../keys.js';
import { lease } from '../lease.js';
import { openFailFast, type RedisClient, type RedisTarget } from '../redis.js';
import { redisError } from '../redis-errors.js';
import { script } from '../scripts.js';
import { FILES_TAG } from './keys.js';
import type {
  FileFilter,
  FileName,
  FilePage,
  FilePiece,
  FileQuotas,
  FileRecord,
  FileTotals,
  FinishedFile,
  NewFile,
  StoredFile,
} from './types.js';

const CONNECT_MS = 5000;
/** Records that one script looks at, at some 5 µs each. */
const LOOKS = 500;
/** Files of one sweep. */
const SWEPT = 100;
/** What the store did not give up is tried again after this long. */
const AGAIN_MS = 60_000;
/** Another replica sweeps when the one that did so has not been heard of for this long. */
const SWEEPER_MS = 10_000;

/** A store that no replica has told of for this long is nobody's any more; they tell every 30 s. */
const STORE_MS = 45_000;

type Fields = string[];
type FinishReply = ['file', id: string, fields: Fields] | ['gone'] | ['conflict'];

type ListReply = [last: string, found: [id: string, fields: Fields][]];

const beginScript = script<[id: string, full: '' | 'files' | 'bytes']>('files/begin.lua');
const appendScript = script<0 | 1>('files/append.lua');
const finishScript = script<FinishReply>('files/finish.lua');
const readScript = script<[] | [fields: Fields, pieces: string[]]>('files/read.lua');
const listScript = script<ListReply>('files/list.lua');
const removeScript = script<0 | 1>('files/remove.lua');
const storesScript = script<number>('files/stores.lua');
const sweepScript = script<string[]>('files/sweep.lua');

/** Every method throws ShoalError: `file_not_found` where the tenant has no such file, `redis_unavailable`. */
export interface FileStore {
  /**
   * Makes room for a file; who writes it has to `append` or `extend` within `leaseMs`. Throws `limit_reached` where the
   * tenant may have no more of its own.
   */
  begin(tenant: string, file: NewFile, leaseMs: number): Promise<FileName>;
  /** Puts off the time at which the writer is given up. Throws `file_not_found` where that has happened. */
  extend(file: FileName, leaseMs: number): Promise<void>;
  /** What was written to the store is the file's piece `number`, from 0. As `extend`. */
  append(file: FileName, leaseMs: number, number: number, piece: FilePiece): Promise<void>;
  /**
   * The file is whole. With an Idempotency-Key that an upload with the same fingerprint had before, that one's record.
   * Throws `idempotency_conflict`.
   */
  finish(file: FileName, finished: FinishedFile): Promise<FileRecord>;
  /** Gives up a file that is not finished. Safe to call again. */
  abandon(file: FileName): Promise<void>;
  find(file: FileName): Promise<FileRecord>;
  /** With where its bytes are. */
  open(file: FileName): Promise<StoredFile>;
  /** By the time at which they were begun. `signal`: the caller has gone, look no further. */
  list(tenant: string, filter: FileFilter, signal?: AbortSignal): Promise<FilePage>;
  remove(file: FileName): Promise<void>;
  totals(): Promise<FileTotals>;
  /** This replica's store has this mark. How many different ones replicas have told of lately. */
  stores(mark: string): Promise<number>;
  /**
   * Forgets what has expired and what nobody goes on writing. Ids of files of which the store may have something that is
   * to be removed, until they are `erased`; none where another process sweeps.
   */
  sweep(): Promise<readonly string[]>;
  /** The store has nothing more of this file. */
  erased(id: string): Promise<void>;
}

export interface FileStoreOptions extends RedisTarget {
  /** Of each tenant. */
  readonly quotas: FileQuotas;
  readonly onError: (error: Error) => void;
}

export type OpenFileStore = FileStore & { close(): void };

/** Connects. Throws `redis_unavailable` where Redis does not answer in 5 s. */
export async function openFileStore(options: FileStoreOptions): Promise<OpenFileStore> {
  const redis = openFailFast(options, options.onError);
  try {
    await untilConnected(redis, CONNECT_MS);
  } catch (error) {
    redis.disconnect();
    throw redisError(error);
  }
  return new RedisFileStore(redis, options.quotas);
}

class RedisFileStore implements OpenFileStore {
  readonly #redis: RedisClient;
  readonly #quotas: FileQuotas;
  readonly #token = randomUUID();

  constructor(redis: RedisClient, quotas: FileQuotas) {
    this.#redis = redis;
    this.#quotas = quotas;
  }

  async begin(tenant: string, { purpose, filename, reservedBytes }: NewFile, leaseMs: number): Promise<FileName> {
    const capped = purpose === 'batch';
    const most = capped ? [this.#quotas.files, this.#quotas.bytes] : ['inf', 'inf'];
    // The time in front of it is Redis's.
    const random = newUlid(0).slice(10);
    const args = [random, tenant, purpose, filename, reservedBytes, leaseMs, ...most];
    const [id, full] = await this.#try(() => beginScript(this.#redis, FILES_TAG, args));
    if (full !== '') throw quotaReached(full, this.#quotas);
    return { tenant, id };
  }

  async extend({ tenant, id }: FileName, leaseMs: number): Promise<void> {
    const extended = await this.#try(() => appendScript(this.#redis, FILES_TAG, [id, tenant, leaseMs]));
    if (extended !== 1) throw notFound();
  }

  async append({ tenant, id }: FileName, leaseMs: number, number: number, { key, bytes }: FilePiece): Promise<void> {
    const args = [id, tenant, leaseMs, number, bytes, key];
    if ((await this.#try(() => appendScript(this.#redis, FILES_TAG, args))) !== 1) throw notFound();
  }

  async finish({ tenant, id }: FileName, { expiresAfterMs, idempotency }: FinishedFile): Promise<FileRecord> {
    const args = [id, tenant, expiresAfterMs ?? '', idempotency?.key ?? '', idempotency?.fingerprint ?? ''];
    const reply = await this.#try(() => finishScript(this.#redis, FILES_TAG, args));
    if (reply[0] === 'gone') throw notFound();
    if (reply[0] === 'file') return parseFile(reply[1], reply[2]);
    throw new ShoalError(
      'idempotency_conflict',
      'use a new Idempotency-Key for another file, or repeat the first upload as it was',
    );
  }

  async abandon({ tenant, id }: FileName): Promise<void> {
    await this.#try(() => removeScript(this.#redis, FILES_TAG, [id, tenant, 'writing']));
  }

  async find({ tenant, id }: FileName): Promise<FileRecord> {
    const [fields] = await this.#try(() => readScript(this.#redis, FILES_TAG, [id, tenant, '']));
    if (fields === undefined) throw notFound();
    return parseFile(id, fields);
  }

  async open({ tenant, id }: FileName): Promise<StoredFile> {
    const [fields, pieces] = await this.#try(() => readScript(this.#redis, FILES_TAG, [id, tenant, '1']));
    if (fields === undefined || pieces === undefined) throw notFound();
    return { ...parseFile(id, fields), pieces: pieces.map(parsePiece) };
  }

  async list(tenant: string, filter: FileFilter, signal?: AbortSignal): Promise<FilePage> {
    const { purpose = '', limit, order } = filter;
    const files: FileRecord[] = [];
    let after = filter.after ?? '';
    // One more than is asked for tells whether there are more.
    for (let open = true; open && files.length <= limit && !signal?.aborted; ) {
      const args = [tenant, purpose, order, after, Math.min(LOOKS, limit + 1 - files.length)];
      const [last, found]: ListReply = await this.#try(() => listScript(this.#redis, FILES_TAG, args));
      files.push(...found.map(([id, fields]) => parseFile(id, fields)));
      after = last;
      open = last !== '';
    }
    return { files: files.slice(0, limit), more: files.length > limit };
  }

  async remove({ tenant, id }: FileName): Promise<void> {
    const removed = await this.#try(() => removeScript(this.#redis, FILES_TAG, [id, tenant, 'ready']));
    if (removed !== 1) throw notFound();
  }

  async totals(): Promise<FileTotals> {
    const [files, bytes] = await this.#try(() => this.#redis.hmget(`${FILES_TAG}:state`, 'files', 'bytes'));
    return { files: Number(files ?? 0), bytes: Number(bytes ?? 0) };
  }

  stores(mark: string): Promise<number> {
    return this.#try(() => storesScript(this.#redis, FILES_TAG, [mark, STORE_MS]));
  }

  async sweep(): Promise<readonly string[]> {
    return this.#try(async () => {
      if (!(await lease(this.#redis, `${FILES_TAG}:sweeper`, this.#token, SWEEPER_MS))) return [];
      return await sweepScript(this.#redis, FILES_TAG, [SWEPT, AGAIN_MS]);
    });
  }

  async erased(id: string): Promise<void> {
    await this.#try(() => this.#redis.zrem(`${FILES_TAG}:garbage`, id));
  }

  close(): void {
    this.#redis.disconnect();
  }

  async #try<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command();
    } catch (error) {
      throw redisError(error);
    }
  }
}

function parseFile(id: string, flat: Fields): FileRecord {
  const fields: Record<string, string> = {};
  for (let n = 0; n < flat.length; n += 2) fields[flat[n]!] = flat[n + 1]!;
  return {
    id,
    purpose: fields.purpose as FileRecord['purpose'],
    filename: fields.name ?? '',
    bytes: Number(fields.bytes),
    createdAt: Number(fields.created),
    expiresAt: fields.expires ? Number(fields.expires) : null,
  };
}

/** `<bytes> <key>` */
function parsePiece(text: string): FilePiece {
  const space = text.indexOf(' ');
  return { key: text.slice(space + 1), bytes: Number(text.slice(0, space)) };
}

function notFound(): ShoalError {
  return new ShoalError('file_not_found', 'There is no such file.');
}

function quotaReached(full: 'files' | 'bytes', { files, bytes }: FileQuotas): ShoalError {
  const told =
    full === 'files'
      ? `You may have ${files} files (SHOAL_TENANT_MAX_FILES)`
      : `This file has no room beside your others: together they may have ${bytes} bytes (SHOAL_TENANT_MAX_FILE_BYTES)`;
  return new ShoalError('limit_reached', `${told}; delete some first.`);
}
