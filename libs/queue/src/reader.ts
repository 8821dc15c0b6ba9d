/**
 * Reads records. Reads asked for in one turn of the event loop share one script call per queue. Large results are read
 * afterwards, page by page, on a connection of their own and within a budget, so that they hold nobody up.
 */
import type { JobRecord } from '@shoal/contracts';
import { ByteBudget } from './byte-budget.js';
import { pack } from './codec.js';
import { type JobId, parseJobId } from './keys.js';
import {
  parseRecord,
  RECORD_FIELDS,
  type RecordValues,
  type StoredRecord,
  type StoredRuns,
  withoutResults,
  withResults,
} from './records.js';
import type { RedisClient } from './redis.js';
import { queueScript } from './scripts.js';

/** What lua/read.lua is asked for: everything, everything but only once the job has ended, or no results. */
type Want = 'all' | 'ended' | 'summary';

interface Pending {
  readonly id: JobId;
  readonly want: Want;
  readonly resolve: (record: Promise<JobRecord | null> | JobRecord | 'open' | null) => void;
  readonly reject: (error: unknown) => void;
}

/** Records per script call, and the largest results that come along with one. */
const MAX_RECORDS = 64;
const INLINE_BYTES = 64 * 1024;
/** Of large results at most this much in one reply, unless one run of items has more. */
const PAGE_BYTES = 256 * 1024;
/** Large results on their way to this process: of one tenant, and in all. */
const TENANT_BYTES = 16 * 1024 * 1024;
const TOTAL_BYTES = 48 * 1024 * 1024;

type Found = [values: RecordValues, results: StoredRuns | null];

const readScript = queueScript<(0 | 1 | Found)[]>('read.lua');
const resultsScript = queueScript<0 | [next: number, ...runs: (number | Buffer)[]]>('results.lua');

export class Reader {
  readonly #redis: RedisClient;
  readonly #large: RedisClient;
  readonly #budget = new ByteBudget(TENANT_BYTES, TOTAL_BYTES);
  readonly #pending = new Map<string, Pending[]>();

  /** `large`: the connection for large results. */
  constructor(redis: RedisClient, large: RedisClient) {
    this.#redis = redis;
    this.#large = large;
  }

  /** The record, or null where there is none. */
  read(id: JobId): Promise<JobRecord | null> {
    return this.#enqueue(id, 'all') as Promise<JobRecord | null>;
  }

  /** The record without its results (all null): lists would else carry 8 MB per entry. */
  readSummary(id: JobId): Promise<JobRecord | null> {
    return this.#enqueue(id, 'summary') as Promise<JobRecord | null>;
  }

  /** The record if it has ended, 'open' if it has not, null where there is none. */
  readEnded(id: JobId): Promise<JobRecord | 'open' | null> {
    return this.#enqueue(id, 'ended');
  }

  #enqueue(id: JobId, want: Want): Promise<JobRecord | 'open' | null> {
    return new Promise((resolve, reject) => {
      const waiting = this.#pending.get(id.queue);
      const entry = { id, want, resolve, reject };
      if (waiting) {
        waiting.push(entry);
        return;
      }
      this.#pending.set(id.queue, [entry]);
      setImmediate(() => this.#flush(id.queue));
    });
  }

  #flush(queue: string): void {
    const all = this.#pending.get(queue) ?? [];
    this.#pending.delete(queue);
    for (let n = 0; n < all.length; n += MAX_RECORDS) void this.#call(queue, all.slice(n, n + MAX_RECORDS));
  }

  async #call(queue: string, entries: readonly Pending[]): Promise<void> {
    try {
      const jobs = entries.map(({ id, want }) => ({ id: id.ulid, want }));
      const control = pack({ fields: RECORD_FIELDS, inline: INLINE_BYTES, jobs });
      const reply = await readScript(this.#redis, queue, [control]);
      entries.forEach(({ id, want, resolve }, n) => {
        const found = reply[n]!;
        if (found === 0) resolve(null);
        else if (found === 1) resolve('open');
        else resolve(this.#recordOf(id, want, found));
      });
    } catch (error) {
      for (const { reject } of entries) reject(error);
    }
  }

  #recordOf(id: JobId, want: Want, [values, runs]: Found): JobRecord | Promise<JobRecord | null> {
    const stored = parseRecord(id, values);
    if (runs === null) return this.#readLarge(id, stored);
    return want === 'summary' ? withoutResults(stored, runs) : withResults(stored, runs);
  }

  /** Null where the job is erased meanwhile. */
  async #readLarge(id: JobId, stored: StoredRecord): Promise<JobRecord | null> {
    const { tenant, resultBytes } = stored.record;
    return this.#budget.spend(tenant, resultBytes, async () => {
      const all: (number | Buffer)[] = [];
      for (let from = 0; from >= 0; ) {
        const page = await resultsScript(this.#large, id.queue, [id.ulid, from, PAGE_BYTES]);
        if (page === 0) return null;
        const [next, ...runs] = page;
        all.push(...runs);
        from = next;
      }
      return withResults(stored, all);
    });
  }
}

/** The parsed id, or null where it is none or of a queue that is not served here. */
export function knownId(id: string, queues: ReadonlySet<string> | ReadonlyMap<string, unknown>): JobId | null {
  const job = parseJobId(id);
  return job && queues.has(job.queue) ? job : null;
}
