/** What is handed to lua/admit.lua, and what comes back: the one script that writes records. */

import { type Place, RANKS, type Slice } from './chunks.js';
import { pack, unpack } from './codec.js';
import { KEY_BYTES, keepKeyMs } from './idempotency.js';
import { parseJobId } from './keys.js';
import { packMeta, packTask } from './records.js';
import type { RedisClient } from './redis.js';
import { queueScript } from './scripts.js';
import type { NewJob } from './types.js';

/** A record takes about this many bytes of Redis beside what is packed in it. */
export const RECORD_BYTES = 600;
/** What is a token's worth of input: 4 bytes in a text, and a tensor counts by its size once it is larger than its tokens say. */
const BYTES_PER_TOKEN = 64;

/** A job cut into slices and packed, under the id that it will have. */
export interface Candidate {
  readonly job: NewJob;
  readonly id: string;
  readonly slices: readonly Slice[];
  readonly packed: readonly Buffer[];
  /** What it takes of Redis until it has ended, but for its result. */
  readonly bytes: number;
  /** Item numbers in the order in which they are stored. */
  readonly order: readonly number[];
}

export interface AdmissionLimits {
  /** Names what is recorded together, until BullMQ has its chunks. */
  readonly commit: string;
  readonly tokenCap: number;
  readonly queueCap: number;
  readonly memory: {
    /** Most bytes of one tenant's jobs and results. */
    readonly tenantCap: number;
    /** Bytes that a tenant was last seen to hold in all queues; not those that hold little. */
    readonly held: ReadonlyMap<string, number>;
  };
}

export interface Verdict {
  /** 1 created, 0 it existed; refused: −1 for the tenant's tokens, −2 for everybody's, −3 for the tenant's bytes. */
  readonly verdict: 1 | 0 | -1 | -2 | -3;
  /** By slice, where the job was created. */
  readonly places?: readonly Place[];
}

const admitScript = queueScript<Buffer>('admit.lua');

/** One verdict per job, in order. */
export async function admit(
  redis: RedisClient,
  queue: string,
  jobs: readonly Candidate[],
  { commit, tokenCap, queueCap, memory }: AdmissionLimits,
): Promise<Verdict[]> {
  const blobs: Buffer[] = [];
  // Lua counts from 1, and the first argument is the list of jobs.
  const argument = (blob: Buffer) => blobs.push(blob) + 1;
  const heldElsewhere: Record<string, number> = {};
  const entries = jobs.map((candidate) => {
    const { tenant } = candidate.job;
    const held = memory.held.get(tenant.name);
    if (held !== undefined) heldElsewhere[tenant.name] = held;
    return entryOf(candidate, argument);
  });
  const heldCap = memory.tenantCap;
  const control = pack({ jobs: entries, tokenCap, queueCap, heldCap, heldElsewhere, commit });
  return unpack<Verdict[]>(await admitScript(redis, queue, [control, ...blobs]));
}

function entryOf({ job, id, slices, packed, bytes, order }: Candidate, argument: (blob: Buffer) => number) {
  const { tenant, meta, deadline, idempotency, retentionMs } = job;
  const packedMeta = packMeta(meta, order);
  return {
    id: parseJobId(id)!.ulid,
    tenant: tenant.name,
    weight: tenant.weight,
    rank: RANKS[meta.priority],
    meta: argument(packedMeta),
    task: argument(packTask(meta)),
    ...(deadline && ('at' in deadline ? { deadlineAt: deadline.at } : { deadlineIn: deadline.in })),
    items: job.items.length,
    tokens: job.tokens.reduce((sum, n) => sum + n, 0),
    reserved: job.resultBytes,
    held: bytes + packedMeta.length + job.resultBytes,
    kept: RECORD_BYTES + packedMeta.length,
    slices: slices.map((slice, s) => ({
      first: slice.first,
      count: slice.items.length,
      tokens: slice.tokens,
      cost: Math.max(slice.tokens, packed[s]!.length / BYTES_PER_TOKEN),
      items: argument(packed[s]!),
    })),
    retention: retentionMs,
    hears: lettersOf(job.told),
    array: meta.array,
    ...(idempotency && { keyBytes: KEY_BYTES + idempotency.key.length, keyMs: keepKeyMs(retentionMs) }),
  };
}

/** As lua/lib.lua reads them. */
function lettersOf(told: NewJob['told']): string {
  if (!told) return '';
  return `${told.started ? 's' : ''}${told.output ? 'o' : ''}${told.ended ? 'e' : ''}`;
}
