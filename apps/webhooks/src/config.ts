/** The environment, as a typed config: the only reader of `process.env` in this app. */
import {
  duration,
  durations,
  type Environment,
  integer,
  logLevel,
  type Problem,
  port,
  type RedisSettings,
  readConfig,
  redisSettings,
  redisVariables,
  text,
  unknownVariables,
  url,
} from '@shoal/config';
import { AllowList, allowList } from '@shoal/network';
import { ATTEMPT_TIMEOUT_MS, DEFAULT_SCHEDULE, secretKey } from '@shoal/webhooks';
import { z } from 'zod';

const Schema = z.object({
  ...redisVariables,
  /** To show outputs; jobs of models that are not here are told without theirs. */
  SHOAL_MODELS_DIR: text().default('./models'),
  /** Opens the secrets that the API sealed: the same value as the API's. */
  SHOAL_SECRET_KEY: secretKey(),
  /** Networks and ports beyond the public internet that may be called: the same value as the API's. */
  SHOAL_WEBHOOK_ALLOW: allowList().default(new AllowList([])),
  /** Pauses before each attempt, the first one's included. */
  SHOAL_WEBHOOK_SCHEDULE: durations().default([...DEFAULT_SCHEDULE]),
  /** Time of one attempt. */
  SHOAL_WEBHOOK_TIMEOUT: duration({ min: 1, max: 25_000 }).default(ATTEMPT_TIMEOUT_MS),
  /** Longest time for running attempts to end after SIGTERM. */
  SHOAL_DRAIN_TIMEOUT: duration({ min: 0, max: 3600_000 }).default(20_000),
  /** Attempts at once: of this process, and of one receiver. */
  SHOAL_WEBHOOK_CONCURRENCY: integer({ min: 1, max: 4096 }).default(256),
  SHOAL_WEBHOOK_RECEIVER_CONCURRENCY: integer({ min: 1, max: 4096 }).default(8),
  /** Where callers reach the API, for links in messages; relative where left out. */
  SHOAL_PUBLIC_URL: url().or(z.literal('')).default(''),
  SHOAL_METRICS_HOST: text().default('127.0.0.1'),
  SHOAL_METRICS_PORT: port().default(9465),
  SHOAL_LOG_LEVEL: logLevel(),
  /** Base URL of an OTLP/HTTP receiver, for traces; the SDK reads its other variables by itself. */
  OTEL_EXPORTER_OTLP_ENDPOINT: url().optional(),
});

export type Config = z.output<typeof Schema> & {
  readonly redis: RedisSettings;
  /** Variables that mean nothing, and what may have been meant. */
  readonly unknown: readonly Problem[];
};

/** @throws ConfigError with every problem found */
export function loadConfig(env: Environment = process.env): Config {
  const config = readConfig(Schema, env);
  return { ...config, redis: redisSettings(config), unknown: unknownVariables(env) };
}
