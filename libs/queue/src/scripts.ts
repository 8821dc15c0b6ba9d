/** Loads the Lua scripts beside this lib and calls them by their digest. */
import { readFileSync } from 'node:fs';
import { queueTag } from './keys.js';
import type { RedisClient } from './redis.js';

type Argument = string | number | Buffer;
/** `key` is KEYS[1], the only one. */
type Script<Reply> = (redis: RedisClient, key: string, args: readonly Argument[]) => Promise<Reply>;

const folder = new URL('../lua/', import.meta.url);

/** The script in `lua/<file>` as a function on one key; replies have strings for bulk strings. */
export function script<Reply = unknown>(file: string): Script<Reply> {
  return load(file, '');
}

/** The script in `lua/<file>` as a function on one queue, whose tag is the key; replies have Buffers for bulk strings. */
export function queueScript<Reply>(file: string): Script<Reply> {
  const run = load<Reply>(file, 'Buffer');
  return (redis, queue, args) => run(redis, queueTag(queue), args);
}

/**
 * `-- @include lib` stands for the text of the lib.lua beside the script: Redis runs one script at a time and lets none call
 * another. With the suffix `Buffer` ioredis leaves bulk strings as they are.
 */
function load<Reply>(file: string, suffix: '' | 'Buffer'): Script<Reply> {
  const command = `shoal_${file.replace(/\.lua$/, '').replace('/', '_')}`;
  const defined = new WeakSet<RedisClient>();
  let lua: string | undefined;
  return (redis, key, args) => {
    if (!defined.has(redis)) {
      lua ??= read(new URL(file, folder));
      redis.defineCommand(command, { numberOfKeys: 1, lua });
      defined.add(redis);
    }
    const call = Reflect.get(redis, `${command}${suffix}`) as (...args: unknown[]) => Promise<Reply>;
    return call.call(redis, key, ...args);
  };
}

function read(file: URL): string {
  return readFileSync(file, 'utf8').replace('-- @include lib', () => readFileSync(new URL('lib.lua', file), 'utf8'));
}
