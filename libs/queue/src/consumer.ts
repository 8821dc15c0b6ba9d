/**
 * The worker's side of one queue: a few BullMQ Workers fetch chunks, claim what is still to be done, hand each item to
 * `handle`, and settle the chunk when all of its items are. Fetching stops while enough tokens are held.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Task, WireItem } from '@shoal/contracts';
import { DelayedError, type Job, WaitingError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Chunk } from './chunks.js';
import { unpack } from './codec.js';
import { CHUNKS, DROPPED_CHANNEL, formatJobId, queueTag } from './keys.js';
import type { PackedTask } from './records.js';
import { openPatient, openSubscriber, type RedisClient, type RedisTarget, subscribe } from './redis.js';
import { queueScript } from './scripts.js';

/**
 * A dead worker's chunks are fetched again after the lock + 2 checks at most, 14 s; 15 s is promised (docs/reliability.md).
 * Locks are renewed every quarter: a live worker would have to stand still, or Redis be away, for 5 s to lose one.
 */
const LOCK_MS = 10_000;
const STALLED_CHECK_MS = 2000;
/** A frozen worker may have taken the wake-up of another: idle ones look by themselves every second. */
const DRAIN_DELAY_SECONDS = 1;
/** BullMQ fetches one chunk per round trip and Worker: several fill a batch several times faster. */
const FETCHERS = 4;
/** Most chunks that one fetcher holds, however small they are. */
const CHUNKS_PER_FETCHER = 32;
const RETRY_CHUNK_MS = 2000;
/** Longest time for BullMQ's Workers to close once none of them has a chunk any more. */
const CLOSE_MS = 2000;

/** The chunk an item came with; its lock token is the fence for everything written about the item. */
export interface ChunkLock {
  readonly id: string;
  readonly token: string;
  readonly tag: number;
}

/** An AbortSignal in small: a flag, and one listener for who cannot look; the real one costs more than the item. */
export class Dropped {
  aborted = false;
  onAbort: (() => void) | undefined;

  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    this.onAbort?.();
  }
}

/** One item that this worker holds. */
export interface ClaimedItem {
  readonly jobId: string;
  readonly ulid: string;
  readonly slice: number;
  readonly n: number;
  readonly lock: ChunkLock;
  /** Set when the job was cancelled, expired or deleted, or when the lock was lost: one for all items of a job and chunk. */
  readonly dropped: Dropped;
  readonly item: WireItem;
  readonly length: number;
  readonly task: Task;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Forward passes that never ended: above 0, the item may have ended a process. */
  readonly strikes: number;
  /** Attempts that failed with a retryable error. */
  readonly attempts: number;
  /** From creation to claim, by Redis's clock. */
  readonly queuedMs: number;
  /** Traceparent of the span that enqueued the job, where its trace is kept. */
  readonly trace?: string | undefined;
}

/** What became of an item: published (or nothing to publish), to be tried again after a pause, or not started. */
export type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'retry'; readonly afterMs: number }
  | { readonly kind: 'unstarted' };

export interface ConsumerOptions extends RedisTarget {
  readonly queue: string;
  /** Tokens held (waiting or running) above which nothing more is fetched. */
  readonly holdTokens: number;
  readonly handle: (item: ClaimedItem) => Promise<Outcome>;
  readonly clock: () => number;
  readonly onError: (error: Error) => void;
}

/** As lua/claim.lua returns it; empty where nothing is to be done. */
type ClaimedSlice = [
  items: Buffer,
  task: Buffer,
  first: number,
  created: number,
  done: number[],
  strikes: number[],
  attempts: number[],
];

const claimScript = queueScript<[now: number, slices: (ClaimedSlice | [])[] | null]>('claim.lua');

export class Consumer {
  readonly #options: ConsumerOptions;
  readonly #redis: RedisClient;
  readonly #subscriber: Redis;
  readonly #fetchers: Fetcher[] = [];
  /** Who to tell when a job is cancelled: the items of the job that this process holds. */
  readonly #held = new Map<string, Set<Dropped>>();
  #heldTokens = 0;
  /** Chunks that were fetched and whose items are not known yet. */
  #claiming = 0;
  /** What the latest chunks held, on average; until one has come, as much as may be held at all. */
  #chunkTokens: number;
  #draining = false;
  #onSettled = () => {};

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.#chunkTokens = options.holdTokens;
    this.#redis = openPatient(options, options.onError);
    this.#subscriber = openSubscriber(options, this.#redis, options.onError);
    this.#subscriber.on('ready', () => subscribe(this.#subscriber, DROPPED_CHANNEL));
    this.#subscriber.on('message', (_channel: string, id: string) => {
      for (const dropped of this.#held.get(id) ?? []) dropped.abort();
    });
  }

  /** The patient connection, for the publisher of the same queue. */
  get redis(): RedisClient {
    return this.#redis;
  }

  start(): void {
    for (let n = 0; n < FETCHERS; n++) this.#fetchers.push(this.#openFetcher());
  }

  /** No more fetching; `handle` settles what it holds (starting nothing new); resolves when every chunk is settled. */
  async drain(): Promise<void> {
    this.#draining = true;
    const closed = Promise.all(this.#fetchers.map(({ worker }) => worker.close()));
    // ioredis never settles a command of a connection that is closed while it reconnects, and an idle Worker waits for one.
    const calledOff = new AbortController();
    const idle = this.#idle().then(() => pause(CLOSE_MS, undefined, { signal: calledOff.signal }));
    await Promise.race([closed, idle]);
    calledOff.abort();
    await idle.catch(() => undefined);
  }

  /** Resolves when no chunk is held. */
  async #idle(): Promise<void> {
    while (this.#fetchers.some(({ active }) => active > 0)) {
      await new Promise<void>((resolve) => {
        this.#onSettled = resolve;
      });
    }
  }

  close(): void {
    this.#redis.disconnect();
    this.#subscriber.disconnect();
  }

  #openFetcher(): Fetcher {
    const fetcher: Fetcher = {
      active: 0,
      // Three parameters, not fewer: BullMQ passes the abort signal only to a processor that declares it.
      worker: new Worker<Chunk>(CHUNKS, (job, token, signal) => this.#process(fetcher, job, token!, signal!), {
        connection: this.#redis,
        prefix: queueTag(this.#options.queue),
        concurrency: 1,
        lockDuration: LOCK_MS,
        stalledInterval: STALLED_CHECK_MS,
        // Strikes are ours (lua/begin.lua): BullMQ would fail innocent neighbours of a crash.
        maxStalledCount: Number.MAX_SAFE_INTEGER,
        drainDelay: DRAIN_DELAY_SECONDS,
        runRetryDelay: 1000,
        skipVersionCheck: true,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      }),
    };
    fetcher.worker.on('error', this.#options.onError);
    // A run whose lock is gone must end before this Worker fetches the same chunk again: BullMQ tracks locks by job id
    // alone, and the end of the stale run would stop the renewal of the fresh one.
    fetcher.worker.on('lockRenewalFailed', (ids: string[]) => {
      for (const id of ids) fetcher.worker.cancelJob(id, 'lock lost');
    });
    return fetcher;
  }

  async #process(fetcher: Fetcher, job: Job<Chunk>, token: string, lost: AbortSignal): Promise<void> {
    if (this.#draining) await handBack(job, token);
    fetcher.active++;
    try {
      this.#claiming++;
      const items = await this.#claim(job, token).finally(() => this.#claiming--);
      if (items === null) return await handBack(job, token);
      const outcomes = await this.#handleAll(items, lost);
      const retries = outcomes.flatMap((outcome) => (outcome.kind === 'retry' ? [outcome.afterMs] : []));
      // What is left of the chunk is all that a later claim finds: the rest is in the record.
      if (outcomes.some(({ kind }) => kind === 'unstarted')) await handBack(job, token);
      if (retries.length > 0) await delay(job, token, this.#options.clock() + Math.min(...retries));
    } catch (error) {
      if (lost.aborted || error instanceof WaitingError || error instanceof DelayedError) throw error;
      // BullMQ would fail and forget the chunk; its items are still to be done.
      this.#options.onError(new Error('a chunk could not be processed and will be fetched again', { cause: error }));
      await delay(job, token, this.#options.clock() + RETRY_CHUNK_MS);
    } finally {
      fetcher.active--;
      this.#onSettled();
      this.#adjustFetching();
    }
  }

  /** Null where the chunk goes back in the fair order. */
  async #claim(job: Job<Chunk>, token: string): Promise<ClaimedItem[] | null> {
    const { slices, tag } = job.data;
    const lock: ChunkLock = { id: job.id!, token, tag };
    const [now, claimed] = await claimScript(this.#redis, this.#options.queue, claimOf(job.id!, job.data));
    if (claimed === null) return null;
    const flags = new Map<string, Dropped>();
    return slices.flatMap(([ulid, slice], s) => {
      const found = claimed[s];
      if (!found || found.length === 0) return [];
      const dropped = flags.get(ulid) ?? new Dropped();
      flags.set(ulid, dropped);
      const [packed, packedTask, first, created, done, strikes, attempts] = found;
      const [items, lengths] = unpack<[WireItem[], number[]]>(packed);
      const [task, parameters, trace] = unpack<PackedTask>(packedTask);
      const jobId = formatJobId({ queue: this.#options.queue, ulid });
      return items.flatMap((item, i): ClaimedItem[] => {
        if (done[i] === 1) return [];
        return [
          {
            jobId,
            ulid,
            slice,
            n: first + i,
            lock,
            dropped,
            item,
            length: lengths[i]!,
            task,
            parameters,
            strikes: strikes[i] ?? 0,
            attempts: attempts[i] ?? 0,
            queuedMs: Math.max(0, now - created),
            trace,
          },
        ];
      });
    });
  }

  /** Rejects as soon as the lock is lost: the items' own ends no longer matter, the fence refuses them. */
  async #handleAll(items: readonly ClaimedItem[], lost: AbortSignal): Promise<Outcome[]> {
    for (const { jobId, dropped } of items) this.#hold(jobId, dropped);
    const tokens = items.reduce((sum, { length }) => sum + length, 0);
    this.#heldTokens += tokens;
    if (tokens > 0) this.#chunkTokens = (this.#chunkTokens + tokens) / 2;
    this.#adjustFetching();
    let onLost = () => {};
    try {
      return await new Promise((resolve, reject) => {
        onLost = () => {
          for (const { dropped } of items) dropped.abort();
          reject(new Error('the lock of a chunk was lost'));
        };
        if (lost.aborted) onLost();
        else lost.addEventListener('abort', onLost, { once: true });
        Promise.all(items.map((item) => this.#options.handle(item))).then(resolve, reject);
      });
    } finally {
      lost.removeEventListener('abort', onLost);
      this.#heldTokens -= tokens;
      for (const { jobId, dropped } of items) this.#letGo(jobId, dropped);
    }
  }

  #hold(jobId: string, dropped: Dropped): void {
    const flags = this.#held.get(jobId);
    if (flags) flags.add(dropped);
    else this.#held.set(jobId, new Set([dropped]));
  }

  #letGo(jobId: string, dropped: Dropped): void {
    const flags = this.#held.get(jobId);
    flags?.delete(dropped);
    if (flags?.size === 0) this.#held.delete(jobId);
  }

  /**
   * A BullMQ Worker fetches as many chunks as its concurrency allows before it starts any of them, so what may be fetched
   * is counted beforehand: chunks like the latest ones, for the room that is left, shared by the fetchers.
   */
  #adjustFetching(): void {
    const room = this.#options.holdTokens - this.#heldTokens - this.#claiming * this.#chunkTokens;
    const more = Math.max(0, Math.round(room / this.#chunkTokens / FETCHERS));
    for (const { worker, active } of this.#fetchers) {
      worker.concurrency = Math.max(1, Math.min(CHUNKS_PER_FETCHER, active + more));
    }
  }
}

/** What lua/claim.lua is asked. */
function claimOf(id: string, { tag, slices, turn }: Chunk): (string | number)[] {
  const { tenant, rank, overtaken } = turn ?? { tenant: '', rank: 1, overtaken: 0 };
  return [id, tag, tenant, rank, overtaken, ...slices.flat()];
}

interface Fetcher {
  readonly worker: Worker<Chunk>;
  active: number;
}

/** Back to where it was in the fair order, without a strike or an attempt; BullMQ knows by the error thrown. */
async function handBack(job: Job<Chunk>, token: string): Promise<never> {
  await job.moveToWait(token);
  throw new WaitingError();
}

async function delay(job: Job<Chunk>, token: string, until: number): Promise<never> {
  await job.moveToDelayed(until, token);
  throw new DelayedError();
}
