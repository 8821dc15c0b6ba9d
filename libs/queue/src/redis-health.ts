/** Whether Redis can be given jobs now, for the readiness of those who take them. */
import { ShoalError } from '@shoal/contracts';
import { Cluster } from 'ioredis';
import { ReadOnlyError } from './primary-connector.js';
import type { RedisClient } from './redis.js';

export interface RedisHealthOptions {
  readonly allowEviction?: boolean | undefined;
  /** Told of an eviction policy that was changed under way. */
  readonly onError: (error: Error) => void;
}

export class RedisHealth {
  readonly #redis: RedisClient;
  readonly #options: RedisHealthOptions;
  /** What keeps the connection from being ready. */
  #trouble: Error | undefined;

  constructor(redis: RedisClient, options: RedisHealthOptions) {
    this.#redis = redis;
    this.#options = options;
    redis.on('error', (error) => {
      this.#trouble = error;
    });
    redis.on('ready', () => {
      this.#trouble = undefined;
    });
  }

  /** @throws ShoalError `redis_unavailable` with the reason, where neither the server nor any node of the cluster takes jobs */
  async check(): Promise<void> {
    const redis = this.#redis;
    const nodes = redis instanceof Cluster ? redis.nodes('master') : [redis];
    const asked = await Promise.allSettled(nodes.map((node) => node.info('replication', 'memory')));
    const answers = asked.filter((answer) => answer.status === 'fulfilled').map(({ value }) => value);
    if (answers.length === 0) {
      throw unavailable(this.#trouble instanceof ReadOnlyError ? this.#trouble.message : 'Redis does not answer');
    }
    if (answers.every((info) => /^role:slave/m.test(info))) throw unavailable(new ReadOnlyError().message);
    const eviction = this.#options.allowEviction ? null : answers.map(evictionOf).find((one) => one !== null);
    if (!eviction) return;
    this.#options.onError(new Error(eviction));
    throw unavailable(eviction);
  }
}

/** What is wrong with the policy that INFO tells of; null where nothing is. */
export function evictionOf(info: string): string | null {
  const policy = /^maxmemory_policy:([\w-]+)/m.exec(info)?.[1];
  if (policy === undefined || policy === 'noeviction') return null;
  return `this Redis may evict accepted jobs (maxmemory-policy is ${policy})`;
}

function unavailable(reason: string): ShoalError {
  return new ShoalError('redis_unavailable', reason);
}
