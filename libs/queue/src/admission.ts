/** What is handed to lua/admit.lua, and what comes back: the one script that writes records. */

import { type PlacedSlice, RANKS, type Slice } from './chunks.js';
import { pack, unpack } from './codec.js';
import { KEY_BYTES, keepKeyMs } from './idempotency.js';
import { parseJobId } from './keys.js';
import { packMeta, packTask } from './records.js';
import type { RedisClient } from './redis.js';
import { queueScript } from './scripts.js';
import type { NewJob, Tenant } from './types.js';

/** A record takes about this many bytes of Redis beside what is packed in it. */
export const RECORD_BYTES = 600;
/** What is a token's worth of input: 4 bytes in a text, and a tensor counts by its size once it is larger than its tokens say. */
const BYTES_PER_TOKEN = 64;

/** A job cut into slices and packed, under the id that it will have. */
export interface Submission {
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

/** 1 created, 0 it existed; refused: −1 for the tenant's tokens, −2 for everybody's, −3 for the tenant's bytes. */
export type Decision = 1 | 0 | -1 | -2 | -3;

export interface Admission {
  /** One per job, in order. */
  readonly decisions: readonly Decision[];
  /** The slices of the jobs that were created. */
  readonly placed: readonly PlacedSlice[];
}

/** As lua/admit.lua returns it. */
interface Reply {
  readonly decision: readonly Decision[];
  readonly tag: readonly number[];
  readonly priority: readonly number[];
  readonly overtaken: readonly number[];
}

const admitScript = queueScript<Buffer>('admit.lua');

export async function admit(
  redis: RedisClient,
  queue: string,
  submissions: readonly Submission[],
  { commit, tokenCap, queueCap, memory }: AdmissionLimits,
): Promise<Admission> {
  const args = new Arguments(memory.held);
  for (const submission of submissions) args.add(submission);
  const { jobs, slices, tenants, blobs } = args;
  const control = pack({ jobs, slices, tenants, tokenCap, queueCap, heldCap: memory.tenantCap, commit });
  const reply = unpack<Reply>(await admitScript(redis, queue, [control, ...blobs]));
  const placed: PlacedSlice[] = [];
  let slice = 0;
  submissions.forEach(({ job, slices: own }, n) => {
    for (let s = 0; s < own.length; s++, slice++) {
      if (reply.decision[n] !== 1) continue;
      const at = placed.length;
      placed.push({
        ulid: jobs.id[n]!,
        slice: s,
        alone: jobs.answers[n]!,
        tenant: job.tenant.name,
        rank: jobs.rank[n]!,
        count: slices.count[slice]!,
        tokens: slices.tokens[slice]!,
        tag: reply.tag[at]!,
        priority: reply.priority[at]!,
        overtaken: reply.overtaken[at]!,
      });
    }
  });
  return { decisions: reply.decision, placed };
}

/** The script's arguments: a list for each field, so that its name is sent once and not with every job. */
class Arguments {
  readonly jobs = {
    id: [] as string[],
    tenant: [] as number[],
    rank: [] as number[],
    meta: [] as number[],
    task: [] as number[],
    deadlineAt: [] as number[],
    deadlineIn: [] as number[],
    items: [] as number[],
    tokens: [] as number[],
    reserved: [] as number[],
    held: [] as number[],
    kept: [] as number[],
    slices: [] as number[],
    retention: [] as number[],
    subscribed: [] as string[],
    array: [] as boolean[],
    keyBytes: [] as number[],
    keyMs: [] as number[],
    answers: [] as boolean[],
  };
  readonly slices = {
    first: [] as number[],
    count: [] as number[],
    tokens: [] as number[],
    cost: [] as number[],
    answer: [] as number[],
    items: [] as number[],
  };
  readonly tenants = { name: [] as string[], weight: [] as number[], held: [] as number[] };
  readonly blobs: Buffer[] = [];
  readonly #known: ReadonlyMap<string, number>;
  readonly #numbers = new Map<string, number>();

  /** `held`: bytes by tenant. */
  constructor(held: ReadonlyMap<string, number>) {
    this.#known = held;
  }

  add({ job, id, slices, packed, bytes, order }: Submission): void {
    const { meta, deadline, idempotency, retentionMs } = job;
    const packedMeta = packMeta(meta, order);
    const { jobs } = this;
    jobs.id.push(parseJobId(id)!.ulid);
    jobs.tenant.push(this.#tenant(job.tenant));
    jobs.rank.push(RANKS[meta.priority]);
    jobs.meta.push(this.#argument(packedMeta));
    jobs.task.push(this.#argument(packTask(meta)));
    jobs.deadlineAt.push(deadline && 'at' in deadline ? deadline.at : 0);
    jobs.deadlineIn.push(deadline && 'in' in deadline ? deadline.in : 0);
    jobs.items.push(job.items.length);
    jobs.tokens.push(tokensOf(slices));
    jobs.reserved.push(job.resultBytes);
    jobs.held.push(bytes + packedMeta.length + job.resultBytes);
    jobs.kept.push(RECORD_BYTES + packedMeta.length);
    jobs.slices.push(slices.length);
    jobs.retention.push(retentionMs);
    jobs.subscribed.push(lettersOf(job.webhookEvents));
    jobs.array.push(meta.array);
    jobs.keyBytes.push(idempotency ? KEY_BYTES + idempotency.key.length : 0);
    jobs.keyMs.push(idempotency ? keepKeyMs(retentionMs) : 0);
    jobs.answers.push(job.answers !== undefined);
    slices.forEach(({ first, items, tokens, answer }, s) => {
      this.slices.first.push(first);
      this.slices.count.push(items.length);
      this.slices.tokens.push(tokens);
      this.slices.cost.push(Math.max(tokens, Math.round(packed[s]!.length / BYTES_PER_TOKEN)) + answer);
      this.slices.answer.push(answer);
      this.slices.items.push(this.#argument(packed[s]!));
    });
  }

  /** Lua counts from 1, and the first argument is what all of this is told in. */
  #argument(blob: Buffer): number {
    return this.blobs.push(blob) + 1;
  }

  #tenant({ name, weight }: Tenant): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const { tenants } = this;
    tenants.weight.push(weight);
    tenants.held.push(this.#known.get(name) ?? 0);
    const number = tenants.name.push(name);
    this.#numbers.set(name, number);
    return number;
  }
}

/** As lua/lib.lua reads them. */
function lettersOf(events: NewJob['webhookEvents']): string {
  if (!events) return '';
  return `${events.started ? 's' : ''}${events.output ? 'o' : ''}${events.ended ? 'e' : ''}`;
}

/** What a job counts by caps of tokens. */
export function tokensOf(slices: readonly Slice[]): number {
  return slices.reduce((sum, { tokens, answer }) => sum + tokens + answer, 0);
}
