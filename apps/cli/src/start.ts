/** `shoal start`: Redis, the API, webhooks and workers on this machine, until Ctrl-C. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { formatLine } from '@shoal/telemetry';
import { freePort, isPortFree } from '@shoal/tools/ports';
import { type RedisServer, startRedis } from '@shoal/tools/redis';
import { pingRedis } from '@shoal/tools/redis-ping';
import { UserError } from '@shoal/tools/user-error';
import { banner } from './banner.js';
import type { Config } from './config.js';
import { commandsOf } from './processes.js';
import { ensureSecretKey } from './secret-key.js';
import { onStopSignal } from './signals.js';
import { Supervisor } from './supervisor.js';

/** Time in ms for the private Redis to flush and end, after everybody else has ended. */
const REDIS_GRACE_MS = 1500;

/** Of the API, as by itself; of webhooks and workers the next ones. */
const METRICS_PORT = 9464;

/** Ports above one that is taken that are looked at for one to propose. */
const LOOKED_AT = 100;

/** What npm calls `npm start` and `npx shoal`. */
const BY_NPM: ReadonlySet<string> = new Set(['start', 'npx']);

/** Runs until a signal asks it to stop; throws a UserError where something is missing or Redis ends. */
export async function start(config: Config, { workers }: { readonly workers: number }): Promise<void> {
  let redis: RedisServer | undefined;
  let supervisor: Supervisor | undefined;
  const hurry = () => {
    supervisor?.kill();
    void redis?.stop(0);
  };
  const stopAsked = onStopSignal(hurry, { startedByNpm: BY_NPM.has(config.environment.npm_lifecycle_event ?? '') });
  try {
    for (const { variable, message } of config.unknown) console.log(`Warning: ${variable} ${message}`);
    await checkPort(config);
    checkModels(config.SHOAL_MODELS_DIR);
    redis = await findRedis(config);
    const ports = await metricsPorts(config, 2 + workers);
    const commands = commandsOf(config, redis?.url ?? config.REDIS_URL!, workers, findSecretKey(config), ports);
    supervisor = new Supervisor(commands, { show: shower(config) });
    const redisLost = redis ? failWhen(redis.exited) : new Promise<never>(() => {});
    const over = Promise.race([stopAsked, redisLost]);
    const stopped = await Promise.race([over, supervisor.start()]);
    if (stopped === undefined) {
      console.log(await banner(config));
      await over;
    }
    console.log('Stopping...');
  } finally {
    await supervisor?.stop();
    await redis?.stop(REDIS_GRACE_MS);
  }
}

/** The first one above `port`; any other where there is none. */
async function nextFreePort(port: number, host: string): Promise<number> {
  for (let next = port + 1; next <= 65_535 && next <= port + LOOKED_AT; next++) {
    if (await isPortFree(next, host)) return next;
  }
  return await freePort();
}

async function checkPort(config: Config): Promise<void> {
  if (await isPortFree(config.PORT, config.SHOAL_HOST)) return;
  const free = await nextFreePort(config.PORT, config.SHOAL_HOST);
  throw new UserError(`port ${config.PORT} of ${config.SHOAL_HOST} is taken; choose another: PORT=${free} npm start`);
}

/**
 * The port that is set or its default, and those after it. One that is a default and taken is any free one instead, so that
 * two installations run side by side.
 */
async function metricsPorts(config: Config, count: number): Promise<number[]> {
  const { SHOAL_METRICS_HOST: host, SHOAL_METRICS_PORT: set } = config;
  if (set === 0) return [];
  const first = set ?? METRICS_PORT;
  const ports = Array.from({ length: count }, (_, n) => first + n);
  return Promise.all(ports.map(async (port) => (port === set || (await isPortFree(port, host)) ? port : 0)));
}

/** It may be empty: models that come are served. One that is not there is a slip in its name. */
function checkModels(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  throw new UserError(`there is no folder ${folder} for models: create it, or set SHOAL_MODELS_DIR to another one.`);
}

/** The private server; undefined where REDIS_URL names one, which then must answer, or one of its Sentinels. */
async function findRedis(config: Config): Promise<RedisServer | undefined> {
  const { REDIS_URL, SHOAL_DATA_DIR, SHOAL_REDIS_FSYNC } = config;
  const { redisCa: ca, redisSentinels } = config.redis;
  if (REDIS_URL !== undefined) {
    const asked = redisSentinels.length > 0 ? redisSentinels : [REDIS_URL];
    await Promise.any(asked.map((url) => pingRedis(url, { ca }))).catch(({ errors: [first] }: AggregateError) => {
      throw first;
    });
    return undefined;
  }
  const dir = join(SHOAL_DATA_DIR, 'redis');
  const redis = await startRedis({ dir, persist: true, settings: { appendfsync: SHOAL_REDIS_FSYNC } });
  console.log(`Redis: a private server on port ${redis.port}, its data in ${dir}`);
  return redis;
}

/** The file of this machine's own key; undefined where the environment brings one. */
function findSecretKey({ environment, SHOAL_DATA_DIR }: Config): string | undefined {
  const given = environment.SHOAL_SECRET_KEY || environment.SHOAL_SECRET_KEY_FILE;
  return given ? undefined : ensureSecretKey(SHOAL_DATA_DIR);
}

async function failWhen(exited: Promise<string>): Promise<never> {
  throw new UserError(`Redis ended (${await exited}); everything was stopped. The jobs are kept for the next start.`);
}

function shower({ SHOAL_LOG }: Config): (name: string, line: string) => void {
  if (SHOAL_LOG === 'json') return (_, line) => console.log(line);
  return (name, line) => console.log(`[${name}] ${formatLine(line)}`);
}
