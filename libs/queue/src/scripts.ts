/** Loads the Lua scripts beside this lib and calls them by their digest. */
import { readFileSync } from 'node:fs';
import { queueTag } from './keys.js';
import type { RedisClient } from './redis.js';

type Argument = string | number | Buffer;
type Script<Reply> = (redis: RedisClient, queue: string, args: readonly Argument[]) => Promise<Reply>;

const folder = new URL('../lua/', import.meta.url);
const source = (file: string) => readFileSync(new URL(file, folder), 'utf8');

/**
 * The script in `lua/<file>` as a function on one queue (KEYS[1] is its tag); replies have Buffers for bulk strings. `-- @include lib`
 * stands for the text of lib.lua: Redis runs one script at a time and lets none call another.
 */
export function queueScript<Reply>(file: string): Script<Reply> {
  const command = `shoal_${file.replace(/\.lua$/, '')}`;
  const defined = new WeakSet<RedisClient>();
  let lua: string | undefined;
  return (redis, queue, args) => {
    if (!defined.has(redis)) {
      lua ??= source(file).replace('-- @include lib', () => source('lib.lua'));
      redis.defineCommand(command, { numberOfKeys: 1, lua });
      defined.add(redis);
    }
    const call = Reflect.get(redis, `${command}Buffer`) as (...args: unknown[]) => Promise<Reply>;
    return call.call(redis, queueTag(queue), ...args);
  };
}
