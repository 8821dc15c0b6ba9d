/** The environment, as a typed config: the only reader of `process.env` in this app. */
import {
  addresses,
  boolean,
  ConfigError,
  duration,
  type Environment,
  integer,
  list,
  logLevel,
  type Problem,
  port,
  type RedisSettings,
  readConfig,
  redisSettings,
  redisVariables,
  type StoreSettings,
  storeSettings,
  storeVariables,
  text,
  unknownVariables,
  url,
} from '@shoal/config';
import { MAX_BODY_BYTES, MAX_FILE_BYTES, MAX_FILE_LINES } from '@shoal/contracts';
import { AllowList, allowList } from '@shoal/network';
import { secretKey } from '@shoal/webhooks';
import { z } from 'zod';
import { isLoopback } from './http/host.js';
import { type ApiKey, digestOf } from './http/tenant.js';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const KIB = 1024;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** Tenant names become parts of Redis keys. */
const TENANT = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const KEY_FAULT = 'must be entries "tenant:key" or "tenant:key:weight", separated by commas or line breaks';

const ApiKeys = z.string().transform((value, context): ApiKey[] => {
  const entries = value.split(/[,\n]/).map((entry) => entry.trim());
  const keys = entries.filter((entry) => entry !== '' && !entry.startsWith('#')).map(parseKey);
  const valid = keys.filter((key) => key !== null);
  const distinct = new Set(valid.map((key) => key.digest.toString('hex')));
  if (valid.length < keys.length || keys.length === 0) context.addIssue(KEY_FAULT);
  else if (distinct.size < valid.length) context.addIssue('has the same key twice');
  return valid;
});

function parseKey(entry: string): ApiKey | null {
  const [name = '', key = '', weight = '1', ...rest] = entry.split(':');
  const share = Number(weight);
  if (!TENANT.test(name) || !/^\S+$/.test(key) || !(share > 0 && share <= 1000) || rest.length > 0) return null;
  return { tenant: { name, weight: share }, digest: digestOf(key) };
}

const ORIGIN_FAULT = 'must be "*" or origins such as https://app.example.com, separated by commas';
const Origins = list().refine((origins) => origins.every((origin) => origin === '*' || isOrigin(origin)), ORIGIN_FAULT);

/** As browsers send it: no path, no slash at the end, no standard port. */
function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

/** Kept as its hash, like API keys. */
const Token = z.string().regex(/^\S+$/, 'must be one word, without spaces').transform(digestOf);

const Schema = z.object({
  PORT: port().default(8080),
  SHOAL_HOST: text().default('127.0.0.1'),
  ...redisVariables,
  SHOAL_MODELS_DIR: text().default('./models'),
  SHOAL_API_KEYS: ApiKeys.default([]),
  /** Names of the tenants that may load and unload models; without keys everybody may. */
  SHOAL_ADMINS: list().default([]),
  /** Where callers reach the API, for command lines in model cards; the webhooks process has the same. As requests say where left out. */
  SHOAL_PUBLIC_URL: url().optional(),
  /** Addresses and networks of proxies whose X-Forwarded-For, -Proto and -Host headers are believed: `10.0.0.0/8, loopback`. */
  SHOAL_TRUSTED_PROXIES: addresses().default([]),
  /** Most bytes of a request's body, unpacked: what a tensor may take as JSON or base64. */
  SHOAL_MAX_BODY_BYTES: integer({ min: 64 * KIB, max: 256 * MIB }).default(MAX_BODY_BYTES),
  ...storeVariables,
  /** Most bytes and lines of one file that is uploaded. */
  SHOAL_FILE_MAX_BYTES: integer({ min: MIB, max: 1024 * GIB }).default(MAX_FILE_BYTES),
  SHOAL_FILE_MAX_LINES: integer({ min: 1 }).default(MAX_FILE_LINES),
  /** Most files of one tenant, and most bytes of all of them. */
  SHOAL_TENANT_MAX_FILES: integer({ min: 1, max: 1_000_000 }).default(10_000),
  SHOAL_TENANT_MAX_FILE_BYTES: integer({ min: 1 }).default(10 * GIB),
  /** Origins whose pages may call the API from a browser, separated by commas, or `*`. */
  SHOAL_CORS_ORIGINS: Origins.default([]),
  SHOAL_METRICS_HOST: text().default('127.0.0.1'),
  SHOAL_METRICS_PORT: port().default(9464),
  /** Who asks for the autoscaling number sends it; without it only a loopback SHOAL_METRICS_HOST is answered. */
  SHOAL_AUTOSCALE_TOKEN: Token.optional(),
  /** How long a job may wait for a worker: what the fleet is scaled for (docs/scaling.md). */
  SHOAL_DELAY_OBJECTIVE: duration({ min: 1000, max: DAY_MS }).default(30_000),
  /** Requests that allow a loss of accuracy get a faster variant only while the queue is behind the objective (docs/accuracy.md). */
  SHOAL_ACCURACY_UNDER_LOAD: boolean().default(false),
  /** Longest time of a call that answers with results: of embeddings, and of reranking. */
  SHOAL_EMBEDDINGS_TIMEOUT: duration({ min: 1, max: 10 * MINUTE_MS }).default(MINUTE_MS),
  /** Longest time of a call for generated texts that are not kept: what OpenAI's clients wait. */
  SHOAL_GENERATION_TIMEOUT: duration({ min: 1, max: 60 * MINUTE_MS }).default(10 * MINUTE_MS),
  /** How long an ended job is kept. */
  SHOAL_RESULT_TTL: duration({ min: 1000, max: 30 * DAY_MS }).default(DAY_MS),
  /** Replicas of Redis that must have a job before it is acknowledged, and how long they may take before the answer is 503. */
  SHOAL_MIN_REPLICAS: integer({ min: 0, max: 16 }).default(0),
  SHOAL_REPLICA_TIMEOUT: duration({ min: 1, max: 1200 }).default(1000),
  /** Most tokens of one tenant's unfinished jobs of a model, and of everybody's. */
  SHOAL_TENANT_MAX_TOKENS: integer({ min: 1 }).default(20_000_000),
  SHOAL_QUEUE_MAX_TOKENS: integer({ min: 1 }).default(100_000_000),
  /** Share of the memory for jobs and results that one tenant may take: half of it where there are several, else all. */
  SHOAL_TENANT_MEMORY_PERCENT: integer({ min: 1, max: 100 }).optional(),
  /** Bytes for jobs and results where Redis has no `maxmemory`. */
  SHOAL_MEMORY_BUDGET: integer({ min: 1 }).default(GIB),
  /** Seals the secrets of webhooks; without it there are none. The webhooks process has the same. */
  SHOAL_SECRET_KEY: secretKey().optional(),
  /** Networks and ports beyond the public internet that webhooks may call; the webhooks process has the same. */
  SHOAL_WEBHOOK_ALLOW: allowList().default(new AllowList([])),
  SHOAL_LOG_LEVEL: logLevel(),
  /** Base URL of an OTLP/HTTP receiver, for traces; the SDK reads its other variables by itself. */
  OTEL_EXPORTER_OTLP_ENDPOINT: url().optional(),
});

export type Config = z.output<typeof Schema> & {
  readonly redis: RedisSettings;
  /** Where files are kept. */
  readonly files: StoreSettings;
  /** Variables that mean nothing, and what may have been meant. */
  readonly unknown: readonly Problem[];
};

/** @throws ConfigError with every problem found */
export function loadConfig(env: Environment = process.env): Config {
  const config = readConfig(Schema, env);
  if (config.SHOAL_API_KEYS.length > 0 || isLoopback(config.SHOAL_HOST)) {
    return { ...config, redis: redisSettings(config), files: storeSettings(config), unknown: unknownVariables(env) };
  }
  const message = 'must be a loopback address as long as SHOAL_API_KEYS is not set: anyone could use the models';
  throw new ConfigError([{ variable: 'SHOAL_HOST', message }]);
}
