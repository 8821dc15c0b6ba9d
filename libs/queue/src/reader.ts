/** Reads records. Reads asked for in one turn of the event loop share one script call per queue. */

import type { JobRecord } from '@shoal/contracts';
import { type JobId, parseJobId } from './keys.js';
import { parseRecord } from './records.js';
import type { RedisClient } from './redis.js';
import { queueScript } from './scripts.js';

/** What lua/read.lua is asked for: everything, everything but only once the job has ended, or no results. */
const WANT = { all: '0', ended: '1', summary: '2' } as const;

interface Pending {
  readonly id: JobId;
  readonly want: keyof typeof WANT;
  readonly resolve: (record: JobRecord | 'open' | null) => void;
  readonly reject: (error: unknown) => void;
}

/** Records per script call: with results of 8 MB each a call must not hold Redis for long. */
const MAX_RECORDS = 64;

const readScript = queueScript<(0 | 1 | (Buffer | null)[])[]>('read.lua');

export class Reader {
  readonly #redis: RedisClient;
  readonly #pending = new Map<string, Pending[]>();

  constructor(redis: RedisClient) {
    this.#redis = redis;
  }

  /** The record, or null where there is none. */
  read(id: JobId): Promise<JobRecord | null> {
    return this.#enqueue(id, 'all') as Promise<JobRecord | null>;
  }

  /** The record without its results (all null): lists would else carry 8 MB per entry. */
  async readSummary(id: JobId): Promise<JobRecord | null> {
    const record = (await this.#enqueue(id, 'summary')) as JobRecord | null;
    return record && { ...record, results: record.results.map(() => null) };
  }

  /** The record if it has ended, 'open' if it has not, null where there is none. */
  readEnded(id: JobId): Promise<JobRecord | 'open' | null> {
    return this.#enqueue(id, 'ended');
  }

  #enqueue(id: JobId, want: Pending['want']): Promise<JobRecord | 'open' | null> {
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
      const args = entries.flatMap(({ id, want }) => [id.ulid, WANT[want]]);
      const reply = await readScript(this.#redis, queue, args);
      entries.forEach(({ id, resolve }, n) => {
        const found = reply[n]!;
        if (found === 0) resolve(null);
        else if (found === 1) resolve('open');
        else resolve(parseRecord(id, found));
      });
    } catch (error) {
      for (const { reject } of entries) reject(error);
    }
  }
}

/** The parsed id, or null where it is none or of a queue that is not served here. */
export function knownId(id: string, queues: ReadonlySet<string> | ReadonlyMap<string, unknown>): JobId | null {
  const job = parseJobId(id);
  return job && queues.has(job.queue) ? job : null;
}
