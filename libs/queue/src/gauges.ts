/**
 * What admission needs to know of Redis between two looks: memory in use, bytes reserved for results, each queue's load
 * and the limits its workers measured, and which tenants hold much. One pipeline every 200 ms for the queues that have work,
 * and now and then one that has none; bytes admitted since then are added.
 *
 * Of a cluster every queue is asked for by itself, together with the memory of the node that answers: a queue can take as
 * much as its own node can, and a node that is away leaves the queues of others as they are.
 */
import { ShoalError } from '@shoal/contracts';
import { Cluster } from 'ioredis';
import type { AdmissionLimits } from './admission.js';
import { HELD_KEY, queueTag } from './keys.js';
import type { RedisClient } from './redis.js';
import type { Schedule } from './schedule.js';

const INTERVAL_MS = 200;
/** One idle queue is looked at with every tenth look: what a worker has told, and announcements that were lost. */
const IDLE_EVERY = 10;
/** Share of Redis's memory that may be in use or promised; the rest is for what publishing and BullMQ add. */
const FULL_SHARE = 0.75;
/** Micro-batch until a worker has measured its own; a chunk is half of one. */
const DEFAULT_BATCH_TOKENS = 2048;
/** Seconds of work after which a look counts e times less in the rate: texts and arrays end in bursts. */
const RATE_SECONDS = 30;
/** Of an answer, until answers have ended here; lua/lib.lua has the same. */
const DEFAULT_ANSWER_TOKENS = 256;

/** Final states, each a field of a queue's state that counts the jobs that ended so. */
const ENDS = ['completed', 'failed', 'cancelled', 'expired'] as const;
const STATE_FIELDS = ['tokens', 'reserved', 'served', 'jobs', 'answer', ...ENDS] as const;

export interface QueueGauge {
  /** Unfinished jobs. */
  readonly jobs: number;
  /** Tokens of unfinished jobs. */
  readonly tokens: number;
  /** Tokens per second that ended while there was work, over about the last half minute of it; 0 where none has. */
  readonly rate: number;
  /** Seconds for which work has waited for a worker by now while nothing ended, as far as this process has seen. */
  readonly stalled: number;
  /** Padded tokens of a micro-batch, as a worker of this queue measured; null while none has run. */
  readonly batchTokens: number | null;
  /** Tokens that a generated answer has on average, as lately ended ones had. */
  readonly answerTokens: number;
  /** Jobs that have ended, by final state. */
  readonly ended: Readonly<Record<(typeof ENDS)[number], number>>;
}

const NOTHING: QueueGauge = {
  jobs: 0,
  tokens: 0,
  rate: 0,
  stalled: 0,
  batchTokens: null,
  answerTokens: DEFAULT_ANSWER_TOKENS,
  ended: { completed: 0, failed: 0, cancelled: 0, expired: 0 },
};

export interface GaugesOptions {
  readonly redis: RedisClient;
  readonly schedule: Schedule;
  /** Bytes that count as full where Redis has no `maxmemory`. */
  readonly memoryBudget: number;
  /** Share of the memory for jobs and results that one tenant may take. */
  readonly tenantMemoryShare: number;
  readonly clock: () => number;
}

/** A queue as it was seen last. */
interface Seen extends QueueGauge {
  /** Which server has it, by its run id. */
  readonly server: string;
  /** Bytes that its unfinished jobs have set aside for their results. */
  readonly reserved: number;
  /** Chunks that no worker has fetched. */
  readonly waiting: number;
  /** Tokens that ended, ever, as of `at` in Unix ms. */
  readonly served: number;
  readonly at: number;
  /** What the rate is made of: tokens that ended, and seconds in which there was work, both fading. */
  readonly drained: { readonly tokens: number; readonly seconds: number };
}

const UNKNOWN = { tokens: 0, seconds: 0 };

/** What Redis answers of one queue: fields of its state, the micro-batch, and how many chunks wait. */
type Look = [values: readonly (string | null)[], batchTokens: string | null, waiting: number];

/** Bytes in use on one server, and those that count as all of it. */
interface Memory {
  readonly used: number;
  readonly limit: number;
}

export class Gauges {
  readonly #options: GaugesOptions;
  /** Names of the queues that are looked at. */
  #names: readonly string[] = [];
  readonly #queues = new Map<string, Seen>();
  readonly #servers = new Map<string, Memory>();
  /** Bytes admitted since the last look, by queue. */
  readonly #sinceLook = new Map<string, number>();
  /** Those that had work at the last look: they are looked at once more after it. */
  #busy: readonly string[] = [];
  #held: ReadonlyMap<string, number> = new Map();
  #looks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: GaugesOptions) {
    this.#options = options;
  }

  /** Looks at every queue of `names`, and at others no more. Rejects where the first look at new ones fails. */
  async watch(names: readonly string[]): Promise<void> {
    const known = new Set(this.#names);
    await this.look(names.filter((name) => !known.has(name)));
    this.#names = names;
    const wanted = new Set(names);
    for (const name of this.#queues.keys()) {
      if (!wanted.has(name)) this.#queues.delete(name);
    }
  }

  /** Keeps looking until `stop`. */
  start(): void {
    const again = () => {
      this.#timer = setTimeout(
        () =>
          this.#lookAgain()
            .catch(() => undefined)
            .finally(() => this.#timer && again()),
        INTERVAL_MS,
      );
    };
    again();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  queue(name: string): QueueGauge {
    return this.#queues.get(name) ?? NOTHING;
  }

  /** Most tokens of a chunk: half of a micro-batch. */
  chunkTokens(queue: string): number {
    return (this.queue(queue).batchTokens ?? DEFAULT_BATCH_TOKENS) / 2;
  }

  /** What lua/admit.lua needs to know of memory. */
  memory(queue: string): AdmissionLimits['memory'] {
    const { limit } = this.#memoryOf(queue);
    const tenantCap = Math.min(this.#options.tenantMemoryShare * FULL_SHARE * limit, Number.MAX_SAFE_INTEGER);
    return { tenantCap: Math.floor(tenantCap), held: this.#held };
  }

  /** Counts `bytes` of `queue` as used, or throws `memory_full`: checked before anything of the job is written. */
  reserve(queue: string, bytes: number): void {
    const server = this.#queues.get(queue)?.server;
    const { used, limit } = this.#memoryOf(queue);
    let promised = bytes;
    for (const [name, seen] of this.#queues) {
      if (seen.server === server) promised += seen.reserved + (this.#sinceLook.get(name) ?? 0);
    }
    if (used + promised > FULL_SHARE * limit) {
      throw new ShoalError('memory_full', 'the memory for jobs and results is in use; repeat the request later', {
        retryAfter: 2,
      });
    }
    this.#count(queue, bytes);
  }

  /** Rejects with the first failure; what could be seen all the same is. */
  async look(queues: readonly string[]): Promise<void> {
    const { redis } = this.#options;
    const groups = redis instanceof Cluster ? queues.map((queue) => [queue]) : [queues];
    const looks = await Promise.allSettled(groups.map((group) => this.#lookAt(group)));
    for (const look of looks) if (look.status === 'rejected') throw look.reason;
  }

  async #lookAgain(): Promise<void> {
    const { redis, schedule } = this.#options;
    const queues = this.#names;
    const [busy, held] = await Promise.all([schedule.busy(), redis.hgetall(HELD_KEY)]);
    this.#held = new Map(Object.entries(held).map(([tenant, bytes]) => [tenant, Number(bytes)]));
    const turn = this.#looks++;
    const idle = turn % IDLE_EVERY === 0 && queues.length > 0 ? queues[(turn / IDLE_EVERY) % queues.length] : undefined;
    const known = new Set(queues);
    const ours = busy.filter((queue) => known.has(queue));
    const wanted = new Set([...ours, ...this.#busy, ...(idle === undefined ? [] : [idle])]);
    await this.look([...wanted]);
    this.#busy = ours;
    if (idle !== undefined && !ours.includes(idle) && this.queue(idle).jobs > 0) schedule.announce(idle);
  }

  /** Queues that one server has. */
  async #lookAt(queues: readonly string[]): Promise<void> {
    const { redis, memoryBudget } = this.#options;
    const pipeline = redis.pipeline().info('server', 'memory');
    for (const queue of queues) {
      pipeline.hmget(`${queueTag(queue)}:state`, ...STATE_FIELDS);
      pipeline.hget(`${queueTag(queue)}:limits`, 'batchTokens');
      pipeline.zcard(`${queueTag(queue)}:chunks:prioritized`);
    }
    const before = queues.map((queue) => this.#sinceLook.get(queue) ?? 0);
    const replies = (await pipeline.exec()) ?? [];
    for (const [error] of replies) if (error) throw error;
    const info = String(replies[0]?.[1]);
    const server = field(info, 'run_id', '\\w+');
    const max = Number(field(info, 'maxmemory'));
    this.#servers.set(server, { used: Number(field(info, 'used_memory')), limit: max > 0 ? max : memoryBudget });
    queues.forEach((queue, n) => {
      this.#count(queue, -before[n]!);
      const [values, batchTokens, waiting] = replies.slice(1 + 3 * n, 4 + 3 * n).map(([, reply]) => reply) as Look;
      this.#note(queue, server, values, batchTokens, waiting);
    });
  }

  #note(queue: string, server: string, ...[values, batchTokens, waiting]: Look): void {
    const state = Object.fromEntries(STATE_FIELDS.map((name, n) => [name, Number(values[n])])) as Record<
      (typeof STATE_FIELDS)[number],
      number
    >;
    const { tokens, reserved, served, jobs, answer, completed, failed, cancelled, expired } = state;
    const at = this.#options.clock();
    const last = this.#queues.get(queue);
    const seconds = last && last.jobs > 0 ? Math.max(0, at - last.at) / 1000 : 0;
    const fading = Math.exp(-seconds / RATE_SECONDS);
    const before = last?.drained ?? UNKNOWN;
    const since = seconds > 0 ? Math.max(0, served - last!.served) : 0;
    const drained = { tokens: before.tokens * fading + since, seconds: before.seconds * fading + seconds };
    // Chunks of jobs that were taken back wait until a worker finds that.
    const stands = jobs > 0 && last !== undefined && last.waiting > 0 && waiting > 0 && served === last.served;
    this.#queues.set(queue, {
      server,
      jobs,
      tokens,
      reserved,
      stalled: stands ? last.stalled + seconds : 0,
      waiting,
      rate: drained.seconds > 0 ? drained.tokens / drained.seconds : 0,
      batchTokens: batchTokens === null ? null : Number(batchTokens),
      answerTokens: answer > 0 ? Math.max(1, Math.round(answer)) : DEFAULT_ANSWER_TOKENS,
      ended: { completed, failed, cancelled, expired },
      served,
      at,
      drained,
    });
  }

  #memoryOf(queue: string): Memory {
    const server = this.#queues.get(queue)?.server ?? '';
    return this.#servers.get(server) ?? { used: 0, limit: Number.POSITIVE_INFINITY };
  }

  #count(queue: string, bytes: number): void {
    this.#sinceLook.set(queue, (this.#sinceLook.get(queue) ?? 0) + bytes);
  }
}

/** Of INFO; '' where there is no such field. */
function field(info: string, name: string, form = '\\d+'): string {
  return new RegExp(`^${name}:(${form})`, 'm').exec(info)?.[1] ?? '';
}
