/**
 * The worker's side of one queue, as one straight path: fetch a chunk while the engine has room, claim what of it is still
 * to be done, let the engine take each item, and settle the chunk when all of them have their outcomes.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { backoffMs } from './backoff.js';
import { claim } from './claim.js';
import { type ClaimedItem, type Dropped, type Engine, type Outcome } from './engine.js';
import { type FetchedChunk, Fetcher } from './fetch.js';
import { DROPPED_CHANNEL } from './keys.js';
import { openPatient, openSubscriber, type RedisClient, type RedisTarget, subscribe } from './redis.js';
import { queueScript } from './scripts.js';
import { settlementOf } from './settle.js';

/** Most chunks that are fetched side by side. */
const MAX_FETCHES = 16;
/**
 * Chunks in which a large one is forgotten. Where single jobs of one caller come among full chunks of another, an average
 * would let a worker fetch several times what it has room for, and whoever comes next would find no worker that asks.
 */
const FORGET_CHUNKS = 16;
const RETRY_CHUNK_MS = 2000;
/** Turns of the timer by which a worker without room looks whether what waits in Redis comes before all that it holds itself. */
const LOOK_MS = 15;
/** Longest time for connections to close once no chunk is held any more. */
const CLOSE_MS = 2000;

export interface ConsumerOptions extends RedisTarget {
  readonly queue: string;
  readonly clock: () => number;
  readonly onError: (error: Error) => void;
}

const firstScript = queueScript<[tag: Buffer, tenant: Buffer, rank: number] | null>('first.lua');

/** What the consumer wants of an engine. */
type Taker = Pick<Engine, 'room' | 'isPreceded' | 'take'>;

export class Consumer {
  readonly #options: ConsumerOptions;
  readonly #redis: RedisClient;
  readonly #subscriber: Redis;
  readonly #fetcher: Fetcher;
  /** From `start` on. */
  #engine!: Taker;
  /** Who to tell when a job is cancelled: the items of the job that this process holds. */
  readonly #held = new Map<string, Set<Dropped>>();
  /** Chunks that were asked for and whose items the engine does not have yet. */
  #coming = 0;
  /** What a chunk holds, rather too much than too little; nothing is known before the first. */
  #chunk: { readonly items: number; readonly tokens: number } | undefined;
  #chunks = 0;
  readonly #draining = new AbortController();
  #fetching = Promise.resolve();
  /** A timer per wait would cost more than the chunk: this one sees whether nothing has changed since its last turn. */
  #looking: NodeJS.Timeout | undefined;
  #idleTurns = 0;
  #waiting: (() => void)[] = [];

  constructor(options: ConsumerOptions) {
    this.#options = options;
    const { queue, onError } = options;
    this.#redis = openPatient(options, onError);
    this.#fetcher = new Fetcher({ redis: this.#redis, queue, onError });
    this.#subscriber = openSubscriber(options, this.#redis, onError);
    this.#subscriber.on('ready', () => subscribe(this.#subscriber, DROPPED_CHANNEL));
    this.#subscriber.on('message', (_channel: string, id: string) => {
      for (const dropped of this.#held.get(id) ?? []) dropped.abort();
    });
  }

  /** The patient connection, for the publisher of the same queue. */
  get redis(): RedisClient {
    return this.#redis;
  }

  start(engine: Taker): void {
    this.#engine = engine;
    this.#fetcher.start();
    this.#looking = setInterval(() => {
      if (++this.#idleTurns === 2) this.#wake();
    }, LOOK_MS);
    this.#fetching = this.#fetchWhileRoom();
  }

  /** No more fetching; resolves when every chunk is settled: the engine, which drains as well, has to see to that. */
  async drain(): Promise<void> {
    this.#draining.abort();
    clearInterval(this.#looking);
    this.#wake();
    await this.#fetcher.interrupt().catch(this.#options.onError);
    while (this.#chunks > 0) await this.#change();
    // An idle fetch may wait for a Redis that is away, for as long as it takes to connect.
    await withinMs(CLOSE_MS, this.#fetching);
    while (this.#chunks > 0) await this.#change();
    await withinMs(CLOSE_MS, this.#fetcher.close());
  }

  close(): void {
    this.#redis.disconnect();
    this.#subscriber.disconnect();
  }

  async #fetchWhileRoom(): Promise<void> {
    const { signal } = this.#draining;
    let refused = 0;
    // Doubles while there is work: what waits is taken in a few round trips, and a lone job costs no look more than one.
    let burst = 1;
    while (!signal.aborted) {
      let wanted = Math.min(burst, this.#wanted());
      let found: FetchedChunk[] = [];
      try {
        const full = wanted === 0;
        if (full) {
          if (!(await this.#changeOrLook()) || !(await this.#isOvertaken())) continue;
          wanted = 1;
        }
        this.#coming += wanted;
        found = await this.#fetcher.fetch(wanted, { block: !full });
        refused = 0;
        burst = found.length === wanted ? Math.min(2 * burst, MAX_FETCHES) : 1;
      } catch (error) {
        this.#options.onError(error as Error);
        await pause(backoffMs(refused++), undefined, { signal }).catch(() => undefined);
      }
      this.#coming -= wanted - found.length;
      for (const fetched of found) void this.#serve(fetched);
    }
  }

  /**
   * Whether a chunk comes before all that waits here, and is no more than one chunk too much: who asks for little is not to
   * wait until there is room beside who asks for all.
   */
  async #isOvertaken(): Promise<boolean> {
    if (!this.#chunk) return false;
    const first = await firstScript(this.#redis, this.#options.queue, []);
    const { items, tokens } = this.#engine.room();
    if (first === null || items <= -this.#chunk.items || tokens <= -this.#chunk.tokens) return false;
    const [tag, tenant, rank] = first;
    return this.#engine.isPreceded({ tag: Number(tag.toString()), tenant: tenant.toString(), rank });
  }

  /** How many chunks to fetch: as many like the larger of the latest ones as the engine has room for, counting those that are coming. */
  #wanted(): number {
    if (this.#draining.signal.aborted) return 0;
    const { items, tokens } = this.#engine.room();
    if (items <= 0 || tokens <= 0) return 0;
    if (!this.#chunk) return this.#coming === 0 ? 1 : 0;
    const room = Math.min(items / this.#chunk.items, tokens / this.#chunk.tokens) - this.#coming;
    return Math.max(0, Math.min(MAX_FETCHES, Math.ceil(room)));
  }

  /** A chunk from its claim to its end, and those that were fetched in the round trips that ended the ones before. */
  async #serve(fetched: FetchedChunk): Promise<void> {
    this.#chunks++;
    for (let next: FetchedChunk | null = fetched; next; ) next = await this.#serveOne(next);
    this.#chunks--;
    this.#wake();
  }

  async #serveOne(fetched: FetchedChunk): Promise<FetchedChunk | null> {
    const outcomes = await this.#run(fetched);
    if (outcomes === 'lost') {
      fetched.held.release();
      return null;
    }
    const fetchNext = this.#wanted() > 0;
    if (fetchNext) this.#coming++;
    const next = await this.#fetcher.settle(fetched, settlementOf(outcomes, this.#options.clock()), fetchNext);
    if (fetchNext && !next) this.#coming--;
    return next;
  }

  /** The outcomes of the chunk's items; `lost`: whatever they are, the fence refuses them. */
  async #run(fetched: FetchedChunk): Promise<Outcome[] | 'lost'> {
    let items: ClaimedItem[] = [];
    try {
      let taken: Promise<Outcome>[];
      try {
        if (this.#draining.signal.aborted) return [{ kind: 'returned' }];
        const claimed = await this.#claim(fetched);
        if (claimed === null) return [{ kind: 'returned' }];
        items = claimed;
        taken = items.map((item) => this.#engine.take(item));
      } finally {
        this.#coming--;
        this.#wake();
      }
      return await Promise.race([Promise.all(taken), fetched.held.lost.then(() => 'lost' as const)]);
    } catch (error) {
      this.#options.onError(new Error('a chunk could not be processed and will be fetched again', { cause: error }));
      return [{ kind: 'retry', afterMs: RETRY_CHUNK_MS }];
    } finally {
      for (const { jobId, dropped } of items) this.#letGo(jobId, dropped);
    }
  }

  async #claim({ chunk, lock, held }: FetchedChunk): Promise<ClaimedItem[] | null> {
    const items = await claim(this.#redis, this.#options.queue, chunk, lock);
    if (items === null) return null;
    for (const { jobId, dropped } of items) this.#hold(jobId, dropped);
    void held.lost.then(() => {
      for (const { dropped } of items) dropped.abort();
    });
    this.#noteSize(items);
    return items;
  }

  #noteSize(items: readonly ClaimedItem[]): void {
    const tokens = items.reduce((sum, { length }) => sum + length, 0);
    if (tokens === 0) return;
    const before = this.#chunk ?? { items: items.length, tokens };
    const follow = (known: number, seen: number) => Math.max(seen, known + (seen - known) / FORGET_CHUNKS);
    this.#chunk = { items: follow(before.items, items.length), tokens: follow(before.tokens, tokens) };
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

  /** Resolves to false when something has changed, and to true when nothing has for two turns of the timer: time for a look. */
  async #changeOrLook(): Promise<boolean> {
    this.#idleTurns = 0;
    await this.#change();
    return this.#idleTurns >= 2;
  }

  /** Resolves when a chunk has been claimed or settled, or the consumer begins to drain: there may be room, or nothing left. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

async function withinMs(ms: number, work: Promise<unknown>): Promise<void> {
  const calledOff = new AbortController();
  await Promise.race([work, pause(ms, undefined, { signal: calledOff.signal }).catch(() => undefined)]);
  calledOff.abort();
}
