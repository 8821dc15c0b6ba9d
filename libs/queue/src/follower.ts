/**
 * Follows single jobs: each look reads how a job stands and which of its parts were published since, then waits for word
 * that it has moved on; a look without news is kept to itself. What is not asked for is not read, so a slow reader costs
 * the memory of one look.
 */
import { type JobRecord, ShoalError } from '@shoal/contracts';
import { pack } from './codec.js';
import { formatJobId, type JobId } from './keys.js';
import type { Reader } from './reader.js';
import { parseRecord, placeResults, RECORD_FIELDS, type RecordValues } from './records.js';
import type { RedisClient } from './redis.js';
import { redisError } from './redis-errors.js';
import { queueScript } from './scripts.js';
import type { JobPart, JobProgress } from './types.js';
import type { Waiters } from './waiters.js';

/** Runs of items per look, and bytes of packed results after the first run. */
const MAX_RUNS = 64;
const MAX_BYTES = 256 * 1024;
/** Between two tries while Redis is away; its return wakes everyone too. */
const RETRY_MS = 1000;
/** Between two looks without word: a job may also vanish without one, such as with all that Redis holds. */
const LOOK_MS = 30_000;

/** As lua/events.lua returns it. */
type EventsReply = 0 | [record: RecordValues, runs: [end: number, first: number, last: number, packed: Buffer][]];

const eventsScript = queueScript<EventsReply>('events.lua');

export class Follower {
  readonly #redis: RedisClient;
  readonly #reader: Reader;
  readonly #waiters: Waiters;

  constructor(redis: RedisClient, reader: Reader, waiters: Waiters) {
    this.#redis = redis;
    this.#reader = reader;
    this.#waiters = waiters;
  }

  /** See JobStore.follow. Null where the job is not there (any more). */
  async *follow(id: JobId, after: number, signal: AbortSignal): AsyncGenerator<JobProgress | null, void> {
    let seen = after;
    let first = true;
    let told = '';
    await this.#waiters.follow(id.queue);
    try {
      while (!signal.aborted) {
        // Registered before the read: whatever happens between the two wakes it.
        const wake = this.#waiters.nextWake(formatJobId(id), { signal });
        try {
          let progress = await this.#look(id, seen).catch((error: unknown) => {
            if (first || !isAway(error)) throw redisError(error);
            return 'away' as const;
          });
          if (progress === 'away') {
            wake.within(RETRY_MS);
            await wake.promise;
            continue;
          }
          // An element of several rows is whole only with all of its parts.
          if (first && seen > 0 && progress?.record.meta.groups) progress = await this.#look(id, 0);
          seen = progress?.parts.at(-1)?.seq ?? seen;
          first = false;
          if (progress === null) {
            yield null;
            return;
          }
          const standing = standingOf(progress.record);
          if (progress.parts.length > 0 || standing !== told) yield progress;
          told = standing;
          const { endedAt, done, meta } = progress.record;
          // Parts that have vanished would be looked for without end.
          const more = meta.array && progress.parts.length > 0 && seen < done;
          if (endedAt !== null && !more) return;
          if (more) continue;
          wake.within(LOOK_MS);
          await wake.promise;
        } finally {
          wake.stop();
        }
      }
    } finally {
      this.#waiters.unfollow(id.queue);
    }
  }

  async #look(id: JobId, after: number): Promise<JobProgress | null> {
    const asked = { fields: RECORD_FIELDS, id: id.ulid, after, limit: MAX_RUNS, bytes: MAX_BYTES };
    const look = await eventsScript(this.#redis, id.queue, [pack(asked)]);
    if (look === 0) return null;
    const [values, runs] = look;
    const stored = parseRecord(id, values);
    const parts = runs.flatMap(([end, first, last, packed]): JobPart[] => {
      const start = end - (last - first);
      return placeResults(stored, first, packed).map((placed, i) => ({ seq: start + i, ...placed }));
    });
    const { record } = stored;
    if (record.endedAt !== null && !record.meta.array) {
      const whole = await this.#reader.read(id);
      return whole && { record: whole, parts: [] };
    }
    return { record, parts: parts.filter(({ seq }) => seq > after) };
  }
}

/** What of a job moves, beside its parts. */
function standingOf({ state, startedAt, done, failed }: JobRecord): string {
  return [state, startedAt, done, failed].join();
}

function isAway(error: unknown): boolean {
  const { code } = redisError(error);
  return code === 'redis_unavailable' && !(error instanceof ShoalError);
}
