/** The Lua scripts of webhooks, called by their digest. */
import { readFileSync } from 'node:fs';
import type { RedisClient } from '../redis.js';

type ScriptName =
  | 'add'
  | 'add-task'
  | 'create-endpoint'
  | 'lease'
  | 'record'
  | 'remove-task'
  | 'replay'
  | 'results-fit'
  | 'swap-secrets'
  | 'update-endpoint';
type Argument = string | number;

const folder = new URL('../../lua/webhooks/', import.meta.url);
const source = (name: string) => readFileSync(new URL(`${name}.lua`, folder), 'utf8');

const defined = new WeakMap<RedisClient, Set<ScriptName>>();

/** Runs a script with one key: a tenant's tag, a queue's, that of all tenants, or a lock. */
export function runWebhookScript(
  redis: RedisClient,
  name: ScriptName,
  key: string,
  args: readonly Argument[],
): Promise<unknown> {
  const command = `shoal_webhooks_${name}`;
  const names = defined.get(redis) ?? new Set();
  defined.set(redis, names);
  if (!names.has(name)) {
    redis.defineCommand(command, {
      numberOfKeys: 1,
      lua: source(name).replace('-- @include lib', () => source('lib')),
    });
    names.add(name);
  }
  const call = Reflect.get(redis, command) as (...args: unknown[]) => Promise<unknown>;
  return call.call(redis, key, ...args);
}
