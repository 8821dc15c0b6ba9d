/**
 * Replicas that serve one queue, first come first served, in steps of a second: each does `REPLICA_RATE` tokens a second.
 * What a replica's micro-batches look like follows from its load: an idle device starts with what is there, and while a
 * batch runs the next forms.
 */
import { waitOf } from './waits.js';

/** Tokens a second of one replica, with full batches. */
export const REPLICA_RATE = 20_000;
export const BATCH = { maxBatchSize: 64, maxBatchTokens: 4096 };
/** What a pass takes whatever is in it, and what a token adds, so that full batches make the rate above. */
const PASS_SECONDS = 0.01;
const TOKEN_SECONDS = 1 / REPLICA_RATE - PASS_SECONDS / BATCH.maxBatchTokens;

/** A micro-batch: neighbours by length, so of one length here. */
export interface BatchRun {
  readonly rows: number;
  readonly length: number;
  readonly seconds: number;
}

export interface Step {
  readonly t: number;
  readonly arrivedTokens: number;
  readonly waitingJobs: number;
  readonly waitingTokens: number;
  /** In the batches that run. */
  readonly runningTokens: number;
  readonly replicas: number;
  /** Of all replicas. */
  readonly batches: readonly BatchRun[];
}

export class Fleet {
  readonly #arrived: number[] = [];
  readonly #lengths: number[] = [];
  /** What is still to be done of each job: its length, but for the one that is being served. */
  readonly #rest: number[] = [];
  #head = 0;
  #waitingTokens = 0;
  /** Served jobs by how many whole seconds they waited. */
  readonly #waits: number[] = [];
  readonly #hosts: number;

  /** `hosts`: so many replicas have a machine each; more share these and slow each other down. */
  constructor(hosts = Number.POSITIVE_INFINITY) {
    this.#hosts = hosts;
  }

  get waitingJobs(): number {
    return this.#lengths.length - this.#head;
  }

  /** One second: what arrives in it may be served in it. */
  step(t: number, arrivals: readonly number[], replicas: number): Step {
    let arrivedTokens = 0;
    for (const tokens of arrivals) {
      this.#arrived.push(t);
      this.#lengths.push(tokens);
      this.#rest.push(tokens);
      arrivedTokens += tokens;
    }
    this.#waitingTokens += arrivedTokens;
    const before = this.#waitingTokens;
    const share = Math.min(1, this.#hosts / replicas);
    const ended = this.#serve(t, replicas * share * REPLICA_RATE);
    const load = replicas === 0 ? 0 : (before - this.#waitingTokens) / replicas;
    const size = this.#batchTokens(load / share);
    return {
      t,
      arrivedTokens,
      waitingJobs: this.waitingJobs,
      waitingTokens: this.#waitingTokens,
      runningTokens: replicas * Math.min(load, size),
      replicas,
      batches: [...ended].flatMap(([length, jobs]) => cutBatches(length, jobs, size, share)),
    };
  }

  /** Seconds that the share `p` of the served jobs waited no longer than. */
  wait(p: number): number {
    return waitOf(this.#waits, p);
  }

  /** How many jobs ended, by their length. */
  #serve(t: number, capacity: number): Map<number, number> {
    const ended = new Map<number, number>();
    let left = Math.min(capacity, this.#waitingTokens);
    this.#waitingTokens -= left;
    while (left > 0) {
      const rest = this.#rest[this.#head]!;
      if (rest > left) {
        this.#rest[this.#head] = rest - left;
        break;
      }
      left -= rest;
      const length = this.#lengths[this.#head]!;
      const waited = t - this.#arrived[this.#head]!;
      ended.set(length, (ended.get(length) ?? 0) + 1);
      this.#waits[waited] = (this.#waits[waited] ?? 0) + 1;
      this.#head++;
    }
    return ended;
  }

  /** Under `load` tokens a second a batch of b tokens runs for as long as the next b take to come: b = load × (pass + b × token). */
  #batchTokens(load: number): number {
    if (this.waitingJobs > 0) return BATCH.maxBatchTokens;
    return Math.min(BATCH.maxBatchTokens, (load * PASS_SECONDS) / (1 - load * TOKEN_SECONDS));
  }
}

/** Batches of about `tokens`, one item at least. */
function cutBatches(length: number, jobs: number, tokens: number, share: number): BatchRun[] {
  const rows = Math.min(BATCH.maxBatchSize, Math.max(1, Math.round(tokens / length)));
  const batchOf = (items: number) => ({
    rows: items,
    length,
    seconds: (PASS_SECONDS + items * length * TOKEN_SECONDS) / share,
  });
  const whole = Array.from({ length: Math.floor(jobs / rows) }, () => batchOf(rows));
  return jobs % rows === 0 ? whole : [...whole, batchOf(jobs % rows)];
}
