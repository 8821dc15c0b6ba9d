/**
 * Admission of one queue: reserve the idempotency key, write the record, add the chunk. Calls that arrive while Redis is
 * busy with earlier ones are admitted together (group commit), so single jobs share scripts and chunks without waiting.
 */
import { ShoalError } from '@shoal/contracts';
import { Queue } from 'bullmq';
import { byLength, type Chunk, cutSlices, formChunks, type PlacedSlice, type Slice } from './chunks.js';
import { pack } from './codec.js';
import { MAX_PRIORITY, PRIORITY_WEIGHT, QUANTUM_TOKENS } from './fairness.js';
import type { Gauges } from './gauges.js';
import { confirm, type KeyUse, release, reserve } from './idempotency.js';
import { CHUNKS, idempotencyKey, newUlid, parseJobId, queueTag, recordKey } from './keys.js';
import { packMeta, packTask } from './records.js';
import type { RedisClient } from './redis.js';
import { redisError } from './redis-errors.js';
import { awaitReplicas, type Replication } from './replication.js';
import { queueScript } from './scripts.js';
import type { Admitted, NewJob } from './types.js';

/** Most jobs and bytes of one admission script: it holds Redis for about 20 µs a job. */
const MAX_COMMIT_JOBS = 256;
const MAX_COMMIT_BYTES = 4 * 1024 * 1024;
/** Chunk size until a worker has measured its micro-batches; a chunk is half of one. */
const DEFAULT_BATCH_TOKENS = 2048;
/** A record costs about this many bytes beside its input and result. */
const RECORD_BYTES = 600;

export interface ProducerOptions {
  readonly redis: RedisClient;
  readonly queue: string;
  readonly gauges: Gauges;
  /** Most tokens of one tenant's unfinished jobs, and of all. */
  readonly tenantCap: number;
  readonly queueCap: number;
  readonly replication: Replication;
  readonly clock: () => number;
}

/** Jobs that were recorded together and whose chunks may be missing. */
export interface LostCommit {
  readonly commit: string;
  readonly jobs: readonly { readonly ulid: string; readonly slices: number }[];
}

interface Pending {
  readonly job: NewJob;
  readonly slices: readonly Slice[];
  readonly packed: readonly Buffer[];
  readonly order: readonly number[];
  readonly bytes: number;
  id: string;
  resolve(outcome: Admitted | ShoalError): void;
}

/** A verdict and, per slice, its start tag and priority (lua/admit.lua). */
type Verdict = readonly [verdict: number, ...places: (Buffer | number)[]];

const admitScript = queueScript<Verdict[]>('admit.lua');

export class Producer {
  readonly #options: ProducerOptions;
  readonly #chunks: Queue<Chunk>;
  readonly #pending: Pending[] = [];
  /** One at a time: what arrives meanwhile is the next, and the fuller a commit the cheaper each job of it. */
  #committing = false;
  /** Commits whose chunks BullMQ has taken: the sweeper need not look after them. */
  #sent: string[] = [];
  #sentTimer: NodeJS.Timeout | undefined;

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#chunks = new Queue<Chunk>(CHUNKS, {
      connection: options.redis,
      prefix: queueTag(options.queue),
      skipVersionCheck: true,
      // Nobody reads BullMQ's events: keep its stream from growing.
      streams: { events: { maxLen: 10 } },
      defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
    });
    this.#chunks.on('error', () => undefined);
  }

  /** Resolves to what was admitted (under `id` unless its Idempotency-Key has another), or why not; never rejects. */
  submit(job: NewJob, id: string): Promise<Admitted | ShoalError> {
    const order = byLength(job.tokens);
    const half = (this.#options.gauges.queue(job.queue).batchTokens ?? DEFAULT_BATCH_TOKENS) / 2;
    const slices = cutSlices(
      order.map((n) => job.items[n]!),
      order.map((n) => job.tokens[n]!),
      half,
    );
    const packed = slices.map((slice) => pack([slice.items, slice.lengths]));
    const bytes = packed.reduce((sum, blob) => sum + blob.length, RECORD_BYTES);
    return new Promise((resolve) => {
      this.#pending.push({ job, slices, packed, order, bytes, id, resolve });
      // At the end of the turn: what came in together is admitted together.
      if (this.#pending.length === 1) setImmediate(() => this.#pump());
    });
  }

  async close(): Promise<void> {
    clearTimeout(this.#sentTimer);
    await this.#tellSent().catch(() => undefined);
    await this.#chunks.close();
  }

  #pump(): void {
    if (this.#committing || this.#pending.length === 0) return;
    let bytes = 0;
    let count = 0;
    while (count < this.#pending.length && count < MAX_COMMIT_JOBS && (count === 0 || bytes < MAX_COMMIT_BYTES)) {
      bytes += this.#pending[count++]!.bytes;
    }
    const jobs = this.#pending.splice(0, count);
    this.#committing = true;
    this.#commit(jobs)
      .catch((error: unknown) => {
        const refused = redisError(error);
        // Who came meanwhile has waited for as long as a command may take, and must not wait for another one.
        const waiting = refused.code === 'redis_unavailable' ? this.#pending.splice(0) : [];
        for (const pending of [...jobs, ...waiting]) pending.resolve(refused);
      })
      .finally(() => {
        this.#committing = false;
        this.#pump();
      });
  }

  async #commit(batch: readonly Pending[]): Promise<void> {
    const fresh = await this.#reserve(batch);
    const roomy = fresh.filter((pending) => this.#reserveMemory(pending));
    const commit = newUlid(this.#options.clock());
    const verdicts = await this.#admit(roomy, commit);
    const refused = roomy.filter((_, n) => verdicts[n]![0] < 0);
    const { redis } = this.#options;
    await this.#add(roomy, verdicts);
    // Nobody waits for it: who repeats a call before it is there finds the job all the same. (Were it waited for, a Redis
    // that is away by now would hold up this commit, and then again the next one with whoever came meanwhile.)
    confirm(redis, roomy.filter((_, n) => verdicts[n]![0] >= 0).flatMap(keyUse)).catch(() => undefined);
    await release(redis, refused.flatMap(keyUse));
    if (verdicts.some(([verdict]) => verdict === 1)) this.#noteSent([commit]);
    // Repeats of a job wait as well: its first call may have been answered that too few replicas have it.
    if (verdicts.some(([verdict]) => verdict >= 0)) await this.#awaitReplicas(roomy);
    roomy.forEach((pending, n) => {
      const verdict = verdicts[n]![0];
      pending.resolve(verdict < 0 ? this.#refusal(verdict) : { id: pending.id, created: verdict === 1 });
    });
  }

  /** Settles repeats of known Idempotency-Keys; what is returned goes on to be written. */
  async #reserve(batch: readonly Pending[]): Promise<Pending[]> {
    const keyed = batch.filter((pending) => pending.job.idempotency);
    const found = await reserve(this.#options.redis, this.#options.queue, keyed.flatMap(keyUse));
    const settled = new Set<Pending>();
    await Promise.all(
      keyed.map(async (pending, n) => {
        const outcome = found[n]!;
        if (outcome instanceof ShoalError) {
          settled.add(pending);
          pending.resolve(outcome);
          return;
        }
        pending.id = outcome.id;
        const other = parseJobId(outcome.id)!;
        // The fingerprint covers the model's name; a key of an older version or variant keeps its job.
        if (!outcome.admitted && other.queue === this.#options.queue) return;
        settled.add(pending);
        const alive = await this.#options.redis.exists(recordKey(other.queue, other.ulid));
        await this.#awaitReplicas([pending]);
        pending.resolve(
          alive === 1
            ? { id: outcome.id, created: false }
            : new ShoalError('job_gone', 'its record has expired or was deleted; use a new Idempotency-Key'),
        );
      }),
    );
    return batch.filter((pending) => !settled.has(pending));
  }

  /** Of the jobs' queues and of their keys. */
  async #awaitReplicas(jobs: readonly Pending[]): Promise<void> {
    const { redis, replication } = this.#options;
    if (replication.minReplicas === 0) return;
    const keys = jobs.flatMap(keyUse).map(({ tenant, key }) => idempotencyKey(tenant, key));
    const queues = new Set(jobs.map(({ id }) => queueTag(parseJobId(id)!.queue)));
    await awaitReplicas(redis, [...queues, ...keys], replication);
  }

  #reserveMemory(pending: Pending): boolean {
    try {
      this.#options.gauges.reserve(this.#options.queue, pending.bytes + pending.job.resultBytes);
      return true;
    } catch (error) {
      void release(this.#options.redis, keyUse(pending)).catch(() => undefined);
      pending.resolve(redisError(error));
      return false;
    }
  }

  async #admit(jobs: readonly Pending[], commit: string): Promise<Verdict[]> {
    if (jobs.length === 0) return [];
    const { redis, queue, tenantCap, queueCap } = this.#options;
    const blobs: Buffer[] = [];
    // Lua counts from 1, and the first argument is the list of jobs.
    const argument = (blob: Buffer) => blobs.push(blob) + 1;
    const entries = jobs.map(({ job, id, slices, packed, order }) => [
      ulidOf(id),
      job.tenant.name,
      job.tenant.weight * PRIORITY_WEIGHT[job.meta.priority],
      argument(packMeta(job.meta, order)),
      argument(packTask(job.meta)),
      job.deadline && 'at' in job.deadline ? job.deadline.at : 0,
      job.deadline && 'in' in job.deadline ? job.deadline.in : 0,
      job.items.length,
      job.tokens.reduce((sum, n) => sum + n, 0),
      job.resultBytes,
      slices.map((slice, s) => [slice.first, slice.items.length, slice.tokens, argument(packed[s]!)]),
      job.retentionMs,
      lettersOf(job.told),
      job.meta.array,
    ]);
    const control = pack([entries, tenantCap, queueCap, QUANTUM_TOKENS, MAX_PRIORITY, commit]);
    return admitScript(redis, queue, [control, ...blobs]);
  }

  async #add(jobs: readonly Pending[], verdicts: readonly Verdict[]): Promise<void> {
    const placed = jobs.flatMap((pending, n) =>
      pending.slices.flatMap((slice, s): PlacedSlice[] => {
        const tag = verdicts[n]![1 + 2 * s];
        if (tag === undefined) return [];
        return [
          {
            owner: `${pending.job.tenant.name} ${pending.job.meta.priority}`,
            ulid: ulidOf(pending.id),
            slice: s,
            count: slice.items.length,
            tokens: slice.tokens,
            tag: Number(tag),
            priority: Number(verdicts[n]![2 + 2 * s]),
          },
        ];
      }),
    );
    if (placed.length === 0) return;
    const half = (this.#options.gauges.queue(this.#options.queue).batchTokens ?? DEFAULT_BATCH_TOKENS) / 2;
    await this.#addChunks(formChunks(placed, half));
  }

  async #addChunks(chunks: readonly { chunk: Chunk; priority: number }[]): Promise<void> {
    await this.#chunks.addBulk(
      chunks.map(({ chunk, priority }) => ({ name: 'chunk', data: chunk, opts: { priority } })),
    );
  }

  /** Adds again what was recorded but, as far as is known, never enqueued; a chunk too many finds nothing to do. */
  async resend(virtual: number, commits: readonly LostCommit[]): Promise<void> {
    if (commits.length === 0) return;
    const refs = commits.flatMap(({ jobs }) =>
      jobs.flatMap(({ ulid, slices }) => Array.from({ length: slices }, (_, slice) => [ulid, slice] as const)),
    );
    await this.#addChunks(refs.map((ref) => ({ chunk: { tag: virtual, slices: [ref] }, priority: 1 })));
    this.#noteSent(commits.map(({ commit }) => commit));
  }

  #noteSent(commits: readonly string[]): void {
    this.#sent.push(...commits);
    this.#sentTimer ??= setTimeout(() => {
      this.#sentTimer = undefined;
      this.#tellSent().catch(() => undefined);
    }, 100);
  }

  async #tellSent(): Promise<void> {
    const commits = this.#sent;
    this.#sent = [];
    if (commits.length > 0) await this.#options.redis.hdel(`${queueTag(this.#options.queue)}:unsent`, ...commits);
  }

  #refusal(verdict: number): ShoalError {
    const { gauges, queue } = this.#options;
    const { tokens, rate } = gauges.queue(queue);
    // The time in which a tenth of the queue drains at the present rate.
    const retryAfter = rate > 0 ? Math.min(60, Math.max(1, Math.ceil(tokens / 10 / rate))) : 5;
    return verdict === -1
      ? new ShoalError('tenant_backlog_full', 'wait until some of your jobs have ended, then repeat the request', {
          retryAfter,
        })
      : new ShoalError('queue_full', 'this model has more work than it can take; repeat the request later', {
          retryAfter,
        });
  }
}

/** As lua/lib.lua reads them. */
function lettersOf(told: NewJob['told']): string {
  if (!told) return '';
  return `${told.started ? 's' : ''}${told.output ? 'o' : ''}${told.ended ? 'e' : ''}`;
}

function ulidOf(id: string): string {
  return parseJobId(id)!.ulid;
}

function keyUse({ job, id }: Pending): KeyUse[] {
  return job.idempotency ? [{ tenant: job.tenant.name, ...job.idempotency, id }] : [];
}
