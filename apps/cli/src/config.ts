/** The environment, as a typed config: the only reader of `process.env` in this app. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  ConfigError,
  type Environment,
  port,
  type RedisSettings,
  readConfig,
  redisSettings,
  redisVariables,
  text,
} from '@shoal/config';
import { z } from 'zod';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

const Schema = z.object({
  PORT: port()
    .refine((value) => value > 0, 'must be a whole number from 1 to 65535')
    .default(8080),
  SHOAL_HOST: text().default('127.0.0.1'),
  /** Without REDIS_URL a private server is started. */
  ...redisVariables,
  SHOAL_MODELS_DIR: text().default(join(ROOT, 'models')),
  /** Of the private Redis, of what workers measured, and of the key that seals secrets. */
  SHOAL_DATA_DIR: text().default(join(ROOT, '.shoal')),
  /** How soon the private Redis writes a change to disk: each second, or before it answers. */
  SHOAL_REDIS_FSYNC: z.enum(['everysec', 'always'], { error: 'must be everysec or always' }).default('everysec'),
  SHOAL_CACHE_DIR: text().optional(),
  SHOAL_METRICS_PORT: port().default(0),
  SHOAL_DRAIN_TIMEOUT: text().default('7s'),
  SHOAL_API_KEYS: text().optional(),
  SHOAL_LOG: z.enum(['pretty', 'json'], { error: 'must be pretty or json' }).default('pretty'),
});

export interface Config extends z.output<typeof Schema> {
  /** Where REDIS_URL is set. */
  readonly redis: RedisSettings;
  /** All of it, for the processes that are started. */
  readonly environment: Environment;
}

/** @throws ConfigError with every problem found */
export function loadConfig(env: Environment = process.env): Config {
  const config = readConfig(Schema, env);
  if (config.REDIS_URL === undefined && (config.SHOAL_REDIS_CA !== undefined || config.SHOAL_REDIS_CLUSTER)) {
    const message = 'must be set where SHOAL_REDIS_CA or SHOAL_REDIS_CLUSTER is: the private Redis has neither';
    throw new ConfigError([{ variable: 'REDIS_URL', message }]);
  }
  return { ...config, redis: redisSettings(config), environment: env };
}

/** Where workers keep what they measured of models. */
export function cacheDirOf({ SHOAL_CACHE_DIR, SHOAL_DATA_DIR }: Config): string {
  return SHOAL_CACHE_DIR ?? join(SHOAL_DATA_DIR, 'cache');
}
