/** The environment, as a typed config: the only reader of `process.env` in this app. */
import { availableParallelism } from 'node:os';
import {
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
  settings,
  text,
  unknownVariables,
  url,
} from '@shoal/config';
import { z } from 'zod';

const Schema = z.object({
  ...redisVariables,
  SHOAL_MODELS_DIR: text().default('./models'),
  /** Names of the models to serve; all of the folder where left out. */
  SHOAL_MODELS: list().default([]),
  /** Bytes that loaded models may take together: those used least recently are unloaded for others. */
  SHOAL_MODEL_MEMORY: integer({ min: 1 }).optional(),
  /** How long a model that only single jobs ask for stays loaded without work. */
  SHOAL_MODEL_KEEP: duration({ min: 0, max: 7 * 24 * 3600_000 }).default(300_000),
  /** `cpu`, `cuda:0`, `tensorrt:0`, `webgpu` ... */
  SHOAL_DEVICE: text().default('cpu'),
  /** Of its execution provider, by ONNX Runtime's own names: `use_tf32=0`, `trt_fp16_enable=1,trt_engine_cache_enable=1`. */
  SHOAL_DEVICE_OPTIONS: settings().default({}),
  /**
   * Threads of one forward pass. One, with as many passes at once as there are cores, does about 20 % more than all cores
   * in one pass (docs/benchmarks.md): threads of one pass wait for each other. More answer a lone request sooner. Left out:
   * one, or as many as `shoal tune` found best for a model.
   */
  SHOAL_INTRA_OP_THREADS: integer({ min: 1, max: 1024 }).optional(),
  /**
   * Threads of a pass of a model that generates text. Left out: the cores, divided by the number of such models, or fewer where
   * `shoal tune` found that better.
   */
  SHOAL_GENERATION_THREADS: integer({ min: 1, max: 1024 }).optional(),
  /** Whose cached prefixes a text may begin with: its tenant's, or everybody's. */
  SHOAL_PREFIX_SHARING: z.enum(['tenant', 'all'], { error: 'must be tenant or all' }).default('tenant'),
  /** Forward passes that may run at once. Left out: the cores divided by the threads of a pass; 2 on other devices. */
  SHOAL_CONCURRENT_RUNS: integer({ min: 1, max: 1024 }).optional(),
  /** `c-api` or `worker-thread`, to skip the self-test's choice. */
  SHOAL_RUNTIME: z.enum(['c-api', 'worker-thread'], { error: 'must be c-api or worker-thread' }).optional(),
  /** Threads of libuv's pool. start.cts sets it where nobody else does; 4 is what Node.js has where it was not set. */
  UV_THREADPOOL_SIZE: integer({ min: 1, max: 1024 }).default(4),
  /** Where measured batch limits, and what `shoal tune` found, are kept between starts. */
  SHOAL_CACHE_DIR: text().default('./.shoal/cache'),
  /** Longest time for running batches to end after SIGTERM. */
  SHOAL_DRAIN_TIMEOUT: duration({ min: 0, max: 3600_000 }).default(25_000),
  SHOAL_METRICS_HOST: text().default('127.0.0.1'),
  SHOAL_METRICS_PORT: port().default(9466),
  SHOAL_LOG_LEVEL: logLevel(),
  /** Base URL of an OTLP/HTTP receiver, for traces; the SDK reads its other variables by itself. */
  OTEL_EXPORTER_OTLP_ENDPOINT: url().optional(),
});

/**
 * While the device is in one pass, the next batch is begun and the one before published: with one at a time a device that
 * takes 20 ms for a pass stands still for a sixth of its time (docs/scaling.md).
 */
const RUNS_BESIDE_A_DEVICE = 2;

/** Threads of libuv's pool that no forward pass takes: else files and DNS would wait for passes to end. */
const SPARE_THREADS = 1;

export type Config = z.output<typeof Schema> & {
  /** Threads of one forward pass, where the environment says so or how many run at once; else it is for `shoal tune` to say. */
  readonly givenThreads: number | undefined;
  /** Forward passes that run at once: no more than the pool has threads for. */
  readonly concurrentRuns: number;
  /** How many were asked for. */
  readonly wantedRuns: number;
  readonly redis: RedisSettings;
  /** Variables that mean nothing, and what may have been meant. */
  readonly unknown: readonly Problem[];
};

/** @throws ConfigError with every problem found */
export function loadConfig(env: Environment = process.env): Config {
  const config = readConfig(Schema, env);
  const { SHOAL_INTRA_OP_THREADS: threads, SHOAL_CONCURRENT_RUNS: givenRuns } = config;
  const givenThreads = threads ?? (givenRuns === undefined ? undefined : 1);
  const runs =
    config.SHOAL_DEVICE === 'cpu' ? Math.floor(availableParallelism() / (threads ?? 1)) : RUNS_BESIDE_A_DEVICE;
  const wantedRuns = givenRuns ?? Math.max(1, runs);
  const concurrentRuns = Math.min(wantedRuns, Math.max(1, config.UV_THREADPOOL_SIZE - SPARE_THREADS));
  const redis = redisSettings(config);
  return { ...config, givenThreads, concurrentRuns, wantedRuns, redis, unknown: unknownVariables(env) };
}
