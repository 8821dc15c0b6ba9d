/**
 * Lists of a tenant's jobs over several queues, newest first. Each call looks at a bounded number of records, whatever
 * there is to look at, and says where the next one goes on: a page may have less than was asked for, or nothing.
 */
import { type JobRecord, ShoalError } from '@shoal/contracts';
import { pack } from './codec.js';
import { isUlid, type JobId } from './keys.js';
import { parseRecord, RECORD_FIELDS, type RecordValues, type StoredRuns, withoutResults } from './records.js';
import type { RedisClient } from './redis.js';
import { queueScript } from './scripts.js';
import type { JobFilter, JobPage } from './types.js';

/** Records that one script looks at, at about 3 µs each, and that a round over all queues does. */
const SCRIPT_LOOKS = 500;
const ROUND_LOOKS = 2000;
const MAX_ROUNDS = 8;

type Listed = [ulid: Buffer, values: RecordValues, runs: StoredRuns];
type Reply = [last: Buffer, found: Listed[]];

const listScript = queueScript<Reply>('list.lua');

interface Match {
  readonly ulid: string;
  readonly record: JobRecord;
}

/** @throws ShoalError `invalid_request` where the cursor is none. `signal`: the caller has gone, look no further. */
export async function listJobs(
  redis: RedisClient,
  queues: readonly string[],
  tenant: string,
  { status, limit, cursor }: JobFilter,
  signal: AbortSignal | undefined,
): Promise<JobPage> {
  if (cursor !== undefined && !isUlid(cursor)) {
    const fault = { path: 'cursor', message: 'must be the next_cursor of the page before' };
    throw new ShoalError('invalid_request', 'cursor is not one that a list has given', { faults: [fault] });
  }
  const records: JobRecord[] = [];
  let before = cursor;
  let open = queues;
  for (let round = 0; round < MAX_ROUNDS && !signal?.aborted; round++) {
    const wanted = limit - records.length;
    const looks = Math.max(wanted, Math.min(SCRIPT_LOOKS, Math.floor(ROUND_LOOKS / Math.max(1, open.length))));
    const ask = pack({
      fields: RECORD_FIELDS,
      tenant,
      limit: wanted,
      looks,
      ...(before !== undefined && { before }),
      ...(status && { state: status }),
    });
    const found = await Promise.all(open.map((queue) => lookAt(redis, queue, ask)));
    const { matches, seenTo } = merge(found);
    const page = matches.slice(0, wanted);
    records.push(...page.map(({ record }) => record));
    if (records.length === limit && (matches.length > wanted || seenTo !== null)) {
      return { records, next: page.at(-1)!.ulid };
    }
    if (seenTo === null) return { records, next: null };
    before = seenTo;
    open = open.filter((_, n) => found[n]!.seenTo !== null || found[n]!.matches.length > 0);
  }
  return { records, next: before ?? null };
}

/** What one queue has, down to `seenTo` (null: to its end). */
interface Look {
  readonly matches: readonly Match[];
  readonly seenTo: string | null;
}

async function lookAt(redis: RedisClient, queue: string, ask: Buffer): Promise<Look> {
  const [last, found] = await listScript(redis, queue, [ask]);
  const matches = found.map(([ulid, values, runs]): Match => {
    const id: JobId = { queue, ulid: ulid.toString('latin1') };
    return { ulid: id.ulid, record: withoutResults(parseRecord(id, values), runs) };
  });
  return { matches, seenTo: last.length === 0 ? null : last.toString('latin1') };
}

/** Only down to where all queues have been seen is known what comes next. */
function merge(looks: readonly Look[]): Look {
  let seenTo: string | null = null;
  for (const look of looks) {
    if (look.seenTo !== null && (seenTo === null || look.seenTo > seenTo)) seenTo = look.seenTo;
  }
  const matches = looks.flatMap((look) => look.matches).filter(({ ulid }) => seenTo === null || ulid >= seenTo);
  return { matches: matches.sort((a, b) => (a.ulid < b.ulid ? 1 : -1)), seenTo };
}
