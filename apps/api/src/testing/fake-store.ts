/** A JobStore in memory: jobs end, and texts grow, when a test says so, or at once. */

import {
  type GenerationSettings,
  type ItemResult,
  isTerminal,
  type JobRecord,
  type JobState,
  type Joining,
  ShoalError,
  type WireItem,
  type WireOutput,
} from '@shoal/contracts';
import {
  type Admitted,
  type Demand,
  type FollowPosition,
  type JobFilter,
  type JobPage,
  type JobPiece,
  type JobProgress,
  type JobStore,
  type NewJob,
  type QueueDepth,
  type QueuePlace,
  toJobError,
} from '@shoal/queue';
import { fakeAnswer } from './fake-generator.js';

type Running = { -readonly [Field in keyof JobRecord]: JobRecord[Field] } & {
  readonly items: readonly WireItem[];
  readonly pieces: JobPiece[];
};

const NOW = Date.UTC(2026, 0, 1);

export class FakeStore implements JobStore {
  /** False: jobs stay queued until `finish`. */
  immediate = true;
  /** Queue → seconds that its jobs are to wait. */
  readonly delays = new Map<string, number>();
  /** Set: every method throws it. */
  failure: Error | undefined;
  readonly submitted: NewJob[] = [];
  /** Those whose key had a job already. */
  readonly repeated: NewJob[] = [];
  /** Ids of jobs that were cancelled before they had ended. */
  readonly cancelled: string[] = [];
  readonly #records = new Map<string, Running>();
  readonly #keys = new Map<string, { readonly id: string; readonly fingerprint: string }>();
  readonly #wakers = new Set<() => void>();
  /** Called when somebody starts to wait. */
  onWait: () => void = () => {};

  async submit(jobs: readonly NewJob[]): Promise<(Admitted | Error)[]> {
    this.#check();
    return jobs.map((job) => this.#admit(job));
  }

  async get(tenant: string, id: string): Promise<JobRecord> {
    this.#check();
    const record = this.#records.get(id);
    if (record?.tenant !== tenant) throw new ShoalError('job_not_found', 'there is no such job');
    return record;
  }

  async place(tenant: string, id: string): Promise<QueuePlace | null> {
    const { state } = await this.get(tenant, id);
    if (state !== 'queued') return null;
    const waiting = [...this.#records.values()].filter((record) => record.state === 'queued');
    const position = waiting.findIndex((record) => record.id === id) + 1;
    return { position, startsAt: position === 1 ? NOW + 2500 : null };
  }

  async wait(tenant: string, id: string, ms: number, signal?: AbortSignal): Promise<JobRecord> {
    const record = await this.get(tenant, id);
    this.onWait();
    let timeUp = signal?.aborted ?? false;
    const timer = setTimeout(() => stop(), ms);
    const stop = () => {
      timeUp = true;
      this.#wake();
    };
    signal?.addEventListener('abort', stop);
    while (!isTerminal(record.state) && !timeUp) await new Promise<void>((resolve) => this.#wakers.add(resolve));
    signal?.removeEventListener('abort', stop);
    clearTimeout(timer);
    return this.get(tenant, id);
  }

  async *follow(
    tenant: string,
    id: string,
    after: FollowPosition,
    signal: AbortSignal,
  ): AsyncGenerator<JobProgress, void> {
    let seen = after.parts;
    let { pieces: read } = after;
    this.onWait();
    while (!signal.aborted) {
      const record = await this.get(tenant, id);
      const pieces = this.#records.get(id)!.pieces.slice(read);
      read += pieces.length;
      const parts = record.results
        .flatMap((result, index) => (result && record.meta.array ? [{ seq: index + 1, index, result }] : []))
        .slice(seen);
      seen += parts.length;
      const last = isTerminal(record.state);
      const results = last && !record.meta.array ? record.results : record.results.map(() => null);
      yield { record: { ...record, results }, parts, pieces, more: false, last };
      if (last) return;
      const moved = new Promise<void>((resolve) => this.#wakers.add(resolve));
      const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      await Promise.race([moved, stopped]);
    }
  }

  async cancel(tenant: string, id: string): Promise<JobRecord> {
    const { state } = await this.get(tenant, id);
    if (!isTerminal(state)) this.cancelled.push(id);
    this.#end(id, 'cancelled', new ShoalError('cancelled', 'cancelled before it ended'));
    return this.get(tenant, id);
  }

  async remove(tenant: string, id: string): Promise<void> {
    await this.cancel(tenant, id);
    this.#records.delete(id);
  }

  async list(tenant: string, { status, model, limit, cursor }: JobFilter): Promise<JobPage> {
    this.#check();
    const all = [...this.#records.values()].reverse().filter((record) => {
      return (
        record.tenant === tenant && (!status || record.state === status) && (!model || record.meta.model === model)
      );
    });
    const from = cursor === undefined ? 0 : all.findIndex((record) => record.id === cursor) + 1;
    const records = all.slice(from, from + limit);
    return { records, next: from + limit < all.length ? (records.at(-1)?.id ?? null) : null };
  }

  async queueOfKey(tenant: string, key: string): Promise<string | null> {
    this.#check();
    const id = this.#keys.get(`${tenant} ${key}`)?.id;
    return id === undefined ? null : id.slice(0, id.lastIndexOf('.'));
  }

  delay(queue: string): number {
    return this.delays.get(queue) ?? 0;
  }

  depths(): readonly QueueDepth[] {
    return [];
  }

  async joining(): Promise<Joining | null> {
    this.#check();
    return { rows: 'any-length', reason: null };
  }

  async demand(): Promise<Demand> {
    this.#check();
    const unfinished = this.states().filter((state) => !isTerminal(state)).length;
    return {
      unfinishedJobs: unfinished,
      unfinishedTokens: unfinished,
      arrivals: null,
      now: NOW,
      replicaRate: null,
      coldStarts: [],
      speeds: [],
    };
  }

  async ping(): Promise<void> {
    this.#check();
  }

  /** Runs a queued job, or ends it with `error`. */
  finish(id: string, error?: ShoalError): void {
    const record = this.#records.get(id)!;
    if (error) {
      this.#end(id, error.code === 'expired' ? 'expired' : 'failed', error);
    } else {
      record.results = record.items.map((item) => resultOf(item, record.meta));
      record.done = record.total;
      this.#end(id, 'completed');
    }
  }

  /** The next `count` tokens of one answer are written, each as a piece. */
  grow(id: string, index: number, count: number): void {
    const { items, pieces, meta } = this.#records.get(id)!;
    const { pieces: all } = answerOf(items[index]!, meta.parameters);
    const from = pieces.filter((each) => each.index === index).length;
    for (const piece of all.slice(from, from + count)) pieces.push({ seq: pieces.length + 1, index, piece });
    this.#wake();
  }

  /** The answer to one item is whole. */
  complete(id: string, index: number): void {
    const record = this.#records.get(id)!;
    const { results, items, meta } = record;
    record.results = results.map((result, n) => (n === index ? resultOf(items[n]!, meta) : result));
    record.done += 1;
    if (record.done === record.total) this.#end(id, 'completed');
    this.#wake();
  }

  ids(): string[] {
    return [...this.#records.keys()];
  }

  /** State of every job, in the order of their submission. */
  states(): JobState[] {
    return [...this.#records.values()].map((record) => record.state);
  }

  #admit(job: NewJob): Admitted | Error {
    const { idempotency, tenant } = job;
    const known = idempotency && this.#keys.get(`${tenant.name} ${idempotency.key}`);
    if (known && known.fingerprint !== idempotency.fingerprint) {
      return new ShoalError('idempotency_conflict', 'use a new key for another body');
    }
    if (known) {
      this.repeated.push(job);
      return { id: known.id, created: false };
    }
    const id = `${job.queue}.${String(this.submitted.length).padStart(26, '0')}`;
    if (idempotency) this.#keys.set(`${tenant.name} ${idempotency.key}`, { id, fingerprint: idempotency.fingerprint });
    this.submitted.push(job);
    this.#records.set(id, recordOf(id, job));
    if (this.immediate) this.finish(id);
    return { id, created: true };
  }

  #end(id: string, state: JobState, error?: ShoalError): void {
    const record = this.#records.get(id)!;
    if (isTerminal(record.state)) return;
    Object.assign(record, { state, endedAt: NOW + 20, expiresAt: NOW + 86_400_000 });
    if (error) record.error = toJobError(error);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#wakers) wake();
    this.#wakers.clear();
  }

  #check(): void {
    if (this.failure) throw this.failure;
  }
}

function recordOf(id: string, { tenant, meta, items, tokens, deadline }: NewJob): Running {
  return {
    id,
    tenant: tenant.name,
    state: 'queued',
    meta,
    createdAt: NOW,
    startedAt: null,
    endedAt: null,
    expiresAt: null,
    deadline: deadline === undefined ? null : 'at' in deadline ? deadline.at : NOW + deadline.in,
    tokens: tokens.reduce((sum, count) => sum + count, 0),
    total: items.length,
    done: 0,
    failed: 0,
    resultBytes: 0,
    error: null,
    results: items.map(() => null),
    items,
    pieces: [],
  };
}

function answerOf(item: WireItem, parameters: JobRecord['meta']['parameters']) {
  if (item.kind !== 'prompt') throw new Error('no prompt');
  return fakeAnswer(item, parameters as unknown as GenerationSettings);
}

/** What the fake models answer: a text, or the sum of an item's token ids, in a vector or as a score. */
function resultOf(item: WireItem, { parameters }: JobRecord['meta']): ItemResult {
  const ids = item.kind === 'text' ? [...item.ids] : [];
  const sum = ids.reduce((total, id) => total + id, 0);
  const output: WireOutput =
    item.kind === 'prompt'
      ? answerOf(item, parameters).whole
      : { kind: 'vector', values: Float32Array.of(sum, ids.length, 0.1), dims: [3] };
  const receipt = {
    batchId: 'b1',
    batchSize: 4,
    paddedShare: 0.25,
    closedBy: 'idle',
    queuedMs: 1.5,
    batchingMs: 0.25,
    runningMs: 3.0625,
    attempts: 1,
  } as const;
  return { receipt, output };
}
