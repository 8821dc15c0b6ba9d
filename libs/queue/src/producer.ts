/**
 * Admission of one queue: reserve the idempotency key, write the record, add the chunk. Calls that arrive while Redis is
 * busy with earlier ones are admitted together (group commit), so single jobs share scripts and chunks without waiting.
 */
import { ShoalError } from '@shoal/contracts';
import { admit, type Decision, RECORD_BYTES, type Submission, tokensOf } from './admission.js';
import type { ChunkQueue } from './chunk-queue.js';
import { byLength, cutSlices, type Slice, singleSlices } from './chunks.js';
import type { Gauges } from './gauges.js';
import { confirm, type KeyUse, release, reserve } from './idempotency.js';
import { idempotencyKey, newUlid, parseJobId, queueTag, recordKey } from './keys.js';
import { packItems } from './records.js';
import type { RedisClient } from './redis.js';
import { redisError } from './redis-errors.js';
import { awaitReplicas, type Replication } from './replication.js';
import type { Schedule } from './schedule.js';
import type { Admitted, NewJob } from './types.js';

/** Most jobs, slices and bytes of one admission script: it holds Redis for about 20 µs a job and 4 µs a slice. */
const MAX_COMMIT_JOBS = 256;
const MAX_COMMIT_SLICES = 1000;
const MAX_COMMIT_BYTES = 4 * 1024 * 1024;

export interface ProducerOptions {
  readonly redis: RedisClient;
  readonly queue: string;
  readonly gauges: Gauges;
  readonly chunks: ChunkQueue;
  readonly schedule: Schedule;
  /** Most tokens of one tenant's unfinished jobs, and of all. */
  readonly tenantCap: number;
  readonly queueCap: number;
  readonly replication: Replication;
  readonly clock: () => number;
}

interface Pending extends Submission {
  id: string;
  resolve(outcome: Admitted | ShoalError): void;
}

export class Producer {
  readonly #options: ProducerOptions;
  /** By tenant, the one whose turn is next first: who has many jobs to write is no queue for who has one. */
  readonly #pending = new Map<string, Pending[]>();
  /** One at a time: what arrives meanwhile is the next, and the fuller a commit the cheaper each job of it. */
  #committing = false;

  constructor(options: ProducerOptions) {
    this.#options = options;
  }

  /** Resolves to what was admitted (under `id` unless its Idempotency-Key has another), or why not; never rejects. */
  submit(job: NewJob, id: string): Promise<Admitted | ShoalError> {
    const order = byLength(job.tokens);
    const slices = this.#slicesOf(job, order);
    const packed = slices.map(packItems);
    const bytes = packed.reduce((sum, { length }) => sum + length, RECORD_BYTES);
    return new Promise((resolve) => {
      // At the end of the turn: what came in together is admitted together.
      if (this.#pending.size === 0) setImmediate(() => this.#pump());
      const { name } = job.tenant;
      const line = this.#pending.get(name) ?? [];
      line.push({ job, slices, packed, bytes, order, id, resolve });
      this.#pending.set(name, line);
    });
  }

  #slicesOf({ queue, items, tokens, answers }: NewJob, order: readonly number[]): Slice[] {
    const { gauges } = this.#options;
    const ordered = order.map((n) => items[n]!);
    const lengths = order.map((n) => tokens[n]!);
    if (!answers) return cutSlices(ordered, lengths, gauges.chunkTokens(queue));
    const mean = gauges.queue(queue).answerTokens;
    return singleSlices(
      ordered,
      lengths,
      order.map((n) => Math.min(answers[n]!, mean)),
    );
  }

  #pump(): void {
    if (this.#committing || this.#pending.size === 0) return;
    const jobs = this.#nextCommit();
    this.#committing = true;
    this.#commit(jobs)
      .catch((error: unknown) => {
        const refused = redisError(error);
        // Who came meanwhile has waited for as long as a command may take, and must not wait for another one.
        const waiting = refused.code === 'redis_unavailable' ? [...this.#pending.values()].flat() : [];
        if (waiting.length > 0) this.#pending.clear();
        for (const pending of [...jobs, ...waiting]) pending.resolve(refused);
      })
      .finally(() => {
        this.#committing = false;
        this.#pump();
      });
  }

  /** One job of each tenant, and again, until the script would be too large. */
  #nextCommit(): Pending[] {
    const jobs: Pending[] = [];
    let bytes = 0;
    let slices = 0;
    // What is put back at the end is come to again.
    for (const [tenant, line] of this.#pending) {
      const next = line[0]!;
      bytes += next.bytes;
      slices += next.slices.length;
      const full = jobs.length === MAX_COMMIT_JOBS || slices > MAX_COMMIT_SLICES || bytes > MAX_COMMIT_BYTES;
      if (jobs.length > 0 && full) break;
      jobs.push(next);
      line.shift();
      this.#pending.delete(tenant);
      if (line.length > 0) this.#pending.set(tenant, line);
    }
    return jobs;
  }

  async #commit(batch: readonly Pending[]): Promise<void> {
    const { redis, queue, gauges, chunks, schedule, clock } = this.#options;
    const fresh = await this.#reserve(batch);
    if (fresh.length === 0) return;
    schedule.announce(queue);
    const commit = newUlid(clock());
    const { decisions, placed } = await admit(redis, queue, fresh, {
      commit,
      tokenCap: this.#options.tenantCap,
      queueCap: this.#options.queueCap,
      memory: gauges.memory(queue),
    });
    const admitted = fresh.filter((_, n) => decisions[n]! >= 0);
    if (placed.length > 0) await chunks.send(commit, placed, gauges.chunkTokens(queue));
    // Nobody waits for it: who repeats a call before it is there finds the job all the same. (Were it waited for, a Redis
    // that is away by now would hold up this commit, and then again the next one with whoever came meanwhile.)
    confirm(redis, admitted.flatMap(keyUse)).catch(() => undefined);
    // Repeats of a job wait as well: its first call may have been answered that too few replicas have it.
    const missing = await this.#awaitReplicas(admitted).then(() => null, redisError);
    fresh.forEach((pending, n) => {
      const decision = decisions[n]!;
      if (decision >= 0) pending.resolve(missing ?? { id: pending.id, created: decision === 1 });
      else void this.#refuse(pending, this.#refusal(decision, tokensOf(pending.slices)));
    });
  }

  /** Settles repeats of known Idempotency-Keys and what there is no memory for; what is returned goes on to be written. */
  async #reserve(batch: readonly Pending[]): Promise<Pending[]> {
    const { redis, queue } = this.#options;
    const keyed = batch.filter((pending) => pending.job.idempotency);
    const found = await reserve(redis, queue, keyed.flatMap(keyUse));
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
        if (!outcome.admitted && other.queue === queue) return;
        settled.add(pending);
        // The node of that job or of its key may be away: that is this call's trouble alone.
        pending.resolve(await this.#repeat(pending).catch(redisError));
      }),
    );
    return batch.filter((pending) => !settled.has(pending) && this.#reserveMemory(pending));
  }

  async #repeat(pending: Pending): Promise<Admitted | ShoalError> {
    const { queue, ulid } = parseJobId(pending.id)!;
    const alive = await this.#options.redis.exists(recordKey(queue, ulid));
    if (alive === 0) {
      return new ShoalError('job_gone', 'its record has expired or was deleted; use a new Idempotency-Key');
    }
    await this.#awaitReplicas([pending]);
    return { id: pending.id, created: false };
  }

  /** Of the jobs' queues and of their keys. */
  async #awaitReplicas(jobs: readonly Pending[]): Promise<void> {
    const { redis, replication } = this.#options;
    if (replication.minReplicas === 0 || jobs.length === 0) return;
    const keys = jobs.flatMap(keyUse).map(({ tenant, key }) => idempotencyKey(tenant, key));
    const queues = new Set(jobs.map(({ id }) => queueTag(parseJobId(id)!.queue)));
    await awaitReplicas(redis, [...queues, ...keys], replication);
  }

  #reserveMemory(pending: Pending): boolean {
    try {
      this.#options.gauges.reserve(this.#options.queue, pending.bytes + pending.job.resultBytes);
      return true;
    } catch (error) {
      void this.#refuse(pending, redisError(error));
      return false;
    }
  }

  /** Whether the key is free again must be known before the refusal is told. */
  async #refuse(pending: Pending, refusal: ShoalError): Promise<void> {
    const released = await release(this.#options.redis, keyUse(pending)).catch(redisError);
    pending.resolve(released instanceof ShoalError ? released : refusal);
  }

  /** `own`: tokens of the job, which may be more than there may ever be. */
  #refusal(decision: Decision, own: number): ShoalError {
    const { gauges, queue, tenantCap, queueCap } = this.#options;
    if (decision === -1 && own > tenantCap) return tooLarge(own, tenantCap, 'a caller', 'SHOAL_TENANT_MAX_TOKENS');
    if (decision === -2 && own > queueCap) {
      return tooLarge(own, queueCap, 'this model', 'SHOAL_QUEUE_MAX_TOKENS, or its max_queued_tokens');
    }
    const { tokens, rate } = gauges.queue(queue);
    // The time in which a tenth of the queue drains at the present rate.
    const retryAfter = rate > 0 ? Math.min(60, Math.max(1, Math.ceil(tokens / 10 / rate))) : 5;
    if (decision === -1) {
      const detail = 'wait until some of your jobs have ended, then repeat the request';
      return new ShoalError('tenant_backlog_full', detail, { retryAfter });
    }
    if (decision === -3) {
      const detail =
        'your jobs and results take as much memory as one caller may have; delete results, or keep them shorter';
      return new ShoalError('tenant_memory_full', detail, { retryAfter: 60 });
    }
    return new ShoalError('queue_full', 'this model has more work than it can take; repeat the request later', {
      retryAfter,
    });
  }
}

function keyUse({ job, id }: Pending): KeyUse[] {
  const { idempotency, tenant, retentionMs } = job;
  return idempotency ? [{ tenant: tenant.name, ...idempotency, id, retentionMs }] : [];
}

/** No wait helps: it is no refusal that callers repeat their request after. */
function tooLarge(own: number, cap: number, whose: string, setting: string): ShoalError {
  return new ShoalError(
    'invalid_request',
    `this job alone has ${own} tokens, and ${whose} may have ${cap} that are unfinished (${setting}); send it in parts`,
  );
}
