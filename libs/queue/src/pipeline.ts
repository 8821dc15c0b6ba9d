/** Several commands at once, whose keys may lie in different slots of a cluster. */
import { Cluster } from 'ioredis';
import type { RedisClient } from './redis.js';

export type Command = readonly [name: string, ...args: (string | number)[]];
/** As ioredis's pipelines give them. */
export type Reply = [error: Error | null, value?: unknown];

/** To a single server all in one write; to a cluster one by one, each to the node of its keys. Never rejects for one. */
export async function sendEach(redis: RedisClient, commands: readonly Command[]): Promise<Reply[]> {
  if (!(redis instanceof Cluster)) return (await redis.pipeline(commands.map((command) => [...command])).exec()) ?? [];
  return Promise.all(
    commands.map(([name, ...args]) =>
      redis.call(name, ...args).then(
        (value): Reply => [null, value],
        (error: Error): Reply => [error],
      ),
    ),
  );
}
