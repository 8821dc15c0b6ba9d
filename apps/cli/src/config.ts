/** The environment, as a typed config: the only reader of `process.env` in this app. */
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  ConfigError,
  type Environment,
  integer,
  type Problem,
  port,
  type RedisSettings,
  readConfig,
  redisSettings,
  redisVariables,
  storeUrl,
  text,
  unknownVariables,
  url,
} from '@shoal/config';
import { AllowList, allowList } from '@shoal/network';
import type { HubSettings, S3Settings } from '@shoal/sources';
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
  /** Of the private Redis, of what workers measured, of files, and of the key that seals secrets. */
  SHOAL_DATA_DIR: text().default(join(ROOT, '.shoal')),
  /** How soon the private Redis writes a change to disk: each second, or before it answers. */
  SHOAL_REDIS_FSYNC: z.enum(['everysec', 'always'], { error: 'must be everysec or always' }).default('everysec'),
  SHOAL_CACHE_DIR: text().optional(),
  SHOAL_STORE: storeUrl().optional(),
  SHOAL_METRICS_HOST: text().default('127.0.0.1'),
  /** Of the API; the other processes get those after it. */
  SHOAL_METRICS_PORT: port().optional(),
  SHOAL_DRAIN_TIMEOUT: text().default('7s'),
  SHOAL_API_KEYS: text().optional(),
  /** Of the API that `shoal optimize --teacher` names. */
  SHOAL_TEACHER_KEY: text().optional(),
  /** The API that `shoal predict`, `jobs` and `models` call, and the caller's key there. */
  SHOAL_URL: url().optional(),
  SHOAL_KEY: text().optional(),
  /** Of `shoal models`, whose key is that of a tenant who may administer. */
  SHOAL_ADMINS: text().optional(),
  /** Threads of libuv's pool, where somebody has set it. */
  UV_THREADPOOL_SIZE: integer({ min: 1, max: 1024 }).optional(),
  SHOAL_LOG: z.enum(['pretty', 'json'], { error: 'must be pretty or json' }).default('pretty'),
});

export interface Config extends z.output<typeof Schema> {
  /** Where REDIS_URL is set. */
  readonly redis: RedisSettings;
  /** All of it but what means nothing, for the processes that are started. */
  readonly environment: Environment;
  /** Variables that mean nothing, and what may have been meant. */
  readonly unknown: readonly Problem[];
}

/** @throws ConfigError with every problem found */
export function loadConfig(env: Environment = process.env): Config {
  const config = readConfig(Schema, env);
  if (config.REDIS_URL === undefined && (config.SHOAL_REDIS_CA !== undefined || config.SHOAL_REDIS_CLUSTER)) {
    const message = 'must be set where SHOAL_REDIS_CA or SHOAL_REDIS_CLUSTER is: the private Redis has neither';
    throw new ConfigError([{ variable: 'REDIS_URL', message }]);
  }
  const unknown = unknownVariables(env);
  const names = new Set(unknown.map(({ variable }) => variable));
  const environment = Object.fromEntries(Object.entries(env).filter(([name]) => !names.has(name)));
  return { ...config, redis: redisSettings(config), environment, unknown };
}

/** Names that others have given: tools of Hugging Face and of AWS read them as well. */
const Sources = z.object({
  HF_ENDPOINT: url().default('https://huggingface.co'),
  HF_TOKEN: text().optional(),
  SHOAL_HF_TOKEN: text().optional(),
  AWS_ENDPOINT_URL_S3: url().optional(),
  AWS_ENDPOINT_URL: url().optional(),
  AWS_REGION: text().optional(),
  AWS_DEFAULT_REGION: text().optional(),
  SHOAL_SOURCE_ALLOW: allowList().default(new AllowList([])),
});

export interface SourceSettings {
  readonly hub: HubSettings;
  readonly s3: S3Settings;
  readonly allow: AllowList;
}

/** What `shoal pull` and `shoal import` need to know of where models come from. @throws ConfigError */
export function loadSourceSettings(env: Environment = process.env): SourceSettings {
  const config = readConfig(Sources, env);
  const endpoint = config.HF_ENDPOINT.replace(/\/+$/, '');
  return {
    hub: { endpoint, token: config.SHOAL_HF_TOKEN ?? config.HF_TOKEN },
    s3: {
      endpoint: config.AWS_ENDPOINT_URL_S3 ?? config.AWS_ENDPOINT_URL,
      region: config.AWS_REGION ?? config.AWS_DEFAULT_REGION,
    },
    allow: config.SHOAL_SOURCE_ALLOW,
  };
}

/** Where `shoal pull` puts what it is not told a folder for. */
export function pulledDirOf({ SHOAL_DATA_DIR }: Config): string {
  return join(SHOAL_DATA_DIR, 'pulled');
}

/** Where `shoal optimize` keeps its journals and reports. */
export function optimizedDirOf({ SHOAL_DATA_DIR }: Config): string {
  return join(SHOAL_DATA_DIR, 'optimize');
}

/** Where workers keep what they measured of models. */
export function cacheDirOf({ SHOAL_CACHE_DIR, SHOAL_DATA_DIR }: Config): string {
  return SHOAL_CACHE_DIR ?? join(SHOAL_DATA_DIR, 'cache');
}

/** Where files are kept, as a URL. */
export function storeOf({ SHOAL_STORE, SHOAL_DATA_DIR }: Config): string {
  return SHOAL_STORE ?? pathToFileURL(join(SHOAL_DATA_DIR, 'files')).href;
}
