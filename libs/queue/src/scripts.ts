/** Loads the Lua scripts beside this lib and calls them by their digest. */
import { readFileSync } from 'node:fs';
import { queueTag } from './keys.js';
import type { RedisClient } from './redis.js';

type ScriptName =
  | 'admit'
  | 'claim'
  | 'begin'
  | 'publish'
  | 'cancel'
  | 'sweep'
  | 'read'
  | 'events'
  | 'demand'
  | 'working'
  | 'limits';
type Argument = string | number | Buffer;

const folder = new URL('../lua/', import.meta.url);
const source = (name: string) => readFileSync(new URL(`${name}.lua`, folder), 'utf8');

/** `-- @include lib` stands for the file's text: Redis runs one script at a time and lets none call another. */
const loaded = new Map<ScriptName, string>();
function load(name: ScriptName): string {
  const text = loaded.get(name) ?? source(name).replace('-- @include lib', () => source('lib'));
  loaded.set(name, text);
  return text;
}

const defined = new WeakMap<RedisClient, Set<ScriptName>>();

/** Runs a script on one queue (KEYS[1] is its tag); the reply with Buffers for bulk strings. */
export function runScript(
  redis: RedisClient,
  name: ScriptName,
  queue: string,
  args: readonly Argument[],
): Promise<unknown> {
  const command = `shoal_${name}`;
  const names = defined.get(redis) ?? new Set();
  defined.set(redis, names);
  if (!names.has(name)) {
    redis.defineCommand(command, { numberOfKeys: 1, lua: load(name) });
    names.add(name);
  }
  const call = Reflect.get(redis, `${command}Buffer`) as (...args: unknown[]) => Promise<unknown>;
  return call.call(redis, queueTag(queue), ...args);
}
