/**
 * Follows single jobs: a look reads how a job stands and which of its parts and pieces came since, then word is waited for
 * that it has moved on; a look without news is kept to itself. Pieces of answers are taken from the messages that tell of
 * them as long as these leave no gap. What is not asked for is not read, so a slow reader costs the memory of one look and
 * one inbox.
 */
import { type JobRecord, ShoalError } from '@shoal/contracts';
import { pack } from './codec.js';
import { Inbox } from './inbox.js';
import type { JobId } from './keys.js';
import type { Reader } from './reader.js';
import { parseRecord, placeResults, RECORD_FIELDS, type RecordValues, type StoredRecord } from './records.js';
import type { RedisClient } from './redis.js';
import { redisError } from './redis-errors.js';
import { queueScript } from './scripts.js';
import { type LoggedPiece, readPieces } from './text-log.js';
import type { FollowPosition, JobPart, JobProgress } from './types.js';
import type { Waiters } from './waiters.js';

/** Runs of items per look, and bytes of packed results after the first run. */
const MAX_RUNS = 64;
const MAX_BYTES = 256 * 1024;
/** Between two tries while Redis is away; its return wakes everyone too. */
const RETRY_MS = 1000;
/** Between two looks without word: a job may also vanish without one, such as with all that Redis holds. */
const LOOK_MS = 30_000;
/** How long a job that generates counts as followed after a look, and how often its followers look for that. */
const FOLLOWED_MS = 30_000;
const RENEW_MS = 10_000;

/** As lua/events.lua returns it. */
type EventsReply = 0 | [record: RecordValues, runs: [end: number, first: number, last: number, packed: Buffer][]];

/** What a look found that the follower had not had. */
interface Look {
  readonly stored: StoredRecord;
  readonly parts: readonly JobPart[];
  readonly pieces: readonly LoggedPiece[];
  /** There was more than one look may hold. */
  readonly more: boolean;
}

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
  async *follow(id: JobId, after: FollowPosition, signal: AbortSignal): AsyncGenerator<JobProgress | null, void> {
    const inbox = new Inbox();
    // Before the first look: whatever happens after it is told.
    await this.#waiters.follow(id, inbox);
    try {
      yield* this.#follow(id, after, inbox, signal);
    } finally {
      this.#waiters.unfollow(id, inbox);
    }
  }

  async *#follow(
    id: JobId,
    after: FollowPosition,
    inbox: Inbox,
    signal: AbortSignal,
  ): AsyncGenerator<JobProgress | null, void> {
    const seen = { ...after };
    let stored: StoredRecord | undefined;
    let told = '';
    let lookAt = 0;
    while (!signal.aborted) {
      let look: Look | null | undefined;
      if (inbox.takeMoved() || performance.now() >= lookAt) {
        try {
          look = await this.#look(id, seen, stored === undefined);
        } catch (error) {
          if (!stored || !isAway(error)) throw redisError(error);
          // What was told meanwhile is read as well when Redis is back.
          inbox.takeAfter(Number.POSITIVE_INFINITY);
          lookAt = 0;
          await inbox.wait(RETRY_MS, signal);
          continue;
        }
        if (!look) {
          yield null;
          return;
        }
        stored = look.stored;
        lookAt = performance.now() + (stored.generates ? RENEW_MS : LOOK_MS);
      }
      const { record, order } = stored!;
      const { parts = [], more = false } = look ?? {};
      seen.parts = parts.at(-1)?.seq ?? seen.parts;
      const read = look?.pieces ?? [];
      const heard = more ? [] : inbox.takeAfter(read.at(-1)?.seq ?? seen.pieces);
      const pieces = [...read, ...heard].map(({ seq, n, piece }) => ({ seq, index: order?.[n] ?? n, piece }));
      seen.pieces = pieces.at(-1)?.seq ?? seen.pieces;
      const last = look !== undefined && record.endedAt !== null && !more;
      if (last) {
        const whole = record.meta.array ? record : await this.#reader.read(id);
        yield whole && { record: whole, parts, pieces, more, last };
        return;
      }
      const standing = standingOf(record);
      if (parts.length > 0 || pieces.length > 0 || standing !== told) yield { record, parts, pieces, more, last };
      told = standing;
      if (more) inbox.move();
      await inbox.wait(lookAt - performance.now(), signal);
    }
  }

  async #look(id: JobId, seen: FollowPosition, first: boolean): Promise<Look | null> {
    let look = await this.#readParts(id, seen.parts);
    // An element of several rows is whole only with all of its parts.
    if (first && seen.parts > 0 && look?.stored.record.meta.groups) look = await this.#readParts(id, 0);
    if (!look?.stored.generates) return look;
    // After the record: where that has ended, nothing is written any more.
    const page = await readPieces(this.#redis, id.queue, id.ulid, seen.pieces, FOLLOWED_MS);
    return page && { ...look, pieces: page.pieces, more: look.more || page.more };
  }

  async #readParts(id: JobId, after: number): Promise<Look | null> {
    const asked = { fields: RECORD_FIELDS, id: id.ulid, after, limit: MAX_RUNS, bytes: MAX_BYTES };
    const reply = await eventsScript(this.#redis, id.queue, [pack(asked)]);
    if (reply === 0) return null;
    const [values, runs] = reply;
    const stored = parseRecord(id, values);
    const found = runs.flatMap(([end, first, last, packed]): JobPart[] => {
      const start = end - (last - first);
      return placeResults(stored, first, packed).map((placed, i) => ({ seq: start + i, ...placed }));
    });
    const parts = found.filter(({ seq }) => seq > after);
    const { meta, done } = stored.record;
    // Parts that have vanished would be looked for without end.
    const more = meta.array && parts.length > 0 && parts.at(-1)!.seq < done;
    return { stored, parts, pieces: [], more };
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
