/**
 * Where processes meet about models: each tells which ones it has, and what is wished of them stands there for all, also for
 * processes that start later. docs/redis.md has the keys.
 */
import { randomUUID } from 'node:crypto';
import { formatSelector, parseSelector } from '@shoal/contracts';
import { untilConnected } from './check-redis.js';
import { MODELS_TAG, queueTag } from './keys.js';
import { openFailFast, type RedisClient, type RedisTarget } from './redis.js';
import { redisError } from './redis-errors.js';
import { script } from './scripts.js';

/** A process that has not been heard of for this long counts as ended: ten turns of it. */
const PATIENCE_MS = 10_000;
const CONNECT_MS = 5000;

export type Wish = 'load' | 'unload';
/** By ModelSelector. */
export type Wishes = ReadonlyMap<string, Wish>;

/** A model that a worker could not load. */
export interface LoadFailure {
  readonly queue: string;
  /** In a line, without paths of that machine. */
  readonly reason: string;
  /** Its files are at fault, or it needs more than there ever is: another try ends the same way. */
  readonly lasting: boolean;
}

/** What a process tells of itself. */
export interface ProcessModels {
  readonly role: 'api' | 'worker';
  /** Of an API, those that it serves; of a worker, those that it has loaded. */
  readonly queues: readonly string[];
  /** Of a worker, those that did not load. */
  readonly failed?: readonly LoadFailure[];
  /** Of a worker, names of the models that it may serve; left out: all. */
  readonly models?: readonly string[];
  /** Of an API, those that it would give jobs to if a worker had ever loaded them: who has room does so. */
  readonly wanted?: readonly string[];
}

export interface QueueWork {
  /** That have not ended. */
  readonly jobs: number;
  /** Tokens of all that ever ended. */
  readonly tokens: number;
}

export interface BoardState {
  readonly wishes: Wishes;
  /** ModelSelector of each wish to load → what is another each time that it is wished. */
  readonly marks: ReadonlyMap<string, string>;
  /** This process and all others. */
  readonly processes: readonly ProcessModels[];
}

type Reply = [version: string, wishes?: string[], told?: string[]];

const boardScript = script<Reply>('board.lua');
const NOTHING: BoardState = { wishes: new Map(), marks: new Map(), processes: [] };

export class ModelBoard {
  readonly #redis: RedisClient;
  readonly #id = randomUUID();
  #version = '';
  #state = NOTHING;

  /** Connects. `onError`: told of errors of the connection. @throws ShoalError `redis_unavailable` where that takes over 5 s */
  static async open(target: RedisTarget, onError: (error: Error) => void): Promise<ModelBoard> {
    const redis = openFailFast(target, onError);
    try {
      await untilConnected(redis, CONNECT_MS);
    } catch (error) {
      redis.disconnect();
      throw redisError(error);
    }
    return new ModelBoard(redis);
  }

  private constructor(redis: RedisClient) {
    this.#redis = redis;
  }

  /** How things stood when `exchange` last had an answer. */
  get state(): BoardState {
    return this.#state;
  }

  /** Tells what this process has, to be repeated every second, and reads the rest. @throws ShoalError `redis_unavailable` */
  async exchange(told: ProcessModels): Promise<BoardState> {
    const args = [this.#id, PATIENCE_MS, JSON.stringify(told), this.#version];
    const [version, wishes, processes] = await this.#try(() => boardScript(this.#redis, MODELS_TAG, args));
    if (wishes === undefined || processes === undefined) return this.#state;
    this.#state = {
      ...wishesOf(wishes),
      processes: processes.map((text) => JSON.parse(text) as ProcessModels),
    };
    this.#version = version;
    return this.#state;
  }

  /**
   * Leaves a wish for what `selector` asks for, in place of those before for the same or parts of it; null: none.
   * @throws ShoalError `redis_unavailable`
   */
  async wish(selector: string, wish: Wish | null): Promise<void> {
    const key = `${MODELS_TAG}:wishes`;
    await this.#try(async () => {
      const before = Object.keys(await this.#redis.hgetall(key)).filter((other) => covers(selector, other));
      const commands = this.#redis.multi().incr(`${MODELS_TAG}:version`);
      if (before.length > 0) commands.hdel(key, ...before);
      if (wish !== null) commands.hset(key, selector, wish === 'load' ? `load ${randomUUID()}` : wish);
      await commands.exec();
    });
  }

  /** What is to be done and was done in each queue; of those whose server does not answer, nothing. */
  async work(queues: readonly string[]): Promise<ReadonlyMap<string, QueueWork>> {
    const states = await Promise.allSettled(
      queues.map((queue) => this.#redis.hmget(`${queueTag(queue)}:state`, 'jobs', 'served')),
    );
    return new Map(
      states.flatMap((state, n) => {
        if (state.status === 'rejected') return [];
        const [jobs, tokens] = state.value.map(Number) as [number, number];
        return [[queues[n]!, { jobs, tokens }] as const];
      }),
    );
  }

  /** Tells that this process ends, as far as Redis can be reached. */
  async close(): Promise<void> {
    await boardScript(this.#redis, MODELS_TAG, [this.#id, PATIENCE_MS, '', this.#version]).catch(() => undefined);
    this.#redis.disconnect();
  }

  async #try<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command();
    } catch (error) {
      throw redisError(error);
    }
  }
}

/** Whether `selector` asks for all that `other` asks for. */
function covers(selector: string, other: string): boolean {
  const [wide, narrow] = [parseSelector(selector), parseSelector(other)];
  return formatSelector({ ...narrow, ...defined(wide) }) === formatSelector(narrow);
}

function defined(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** From selectors and what is said of each: `unload`, or `load` and its mark. */
function wishesOf(flat: readonly string[]): Pick<BoardState, 'wishes' | 'marks'> {
  const wishes = new Map<string, Wish>();
  const marks = new Map<string, string>();
  for (let n = 0; n < flat.length; n += 2) {
    const selector = flat[n]!;
    const [wish, mark] = flat[n + 1]!.split(' ') as [Wish, string?];
    wishes.set(selector, wish);
    if (wish === 'load') marks.set(selector, mark ?? '');
  }
  return { wishes, marks };
}
