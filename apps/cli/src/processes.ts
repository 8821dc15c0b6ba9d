/** Which processes `shoal start` runs, and with what environment. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Environment, httpOrigin } from '@shoal/config';
import type { Command } from './child.js';
import { type Config, cacheDirOf, storeOf } from './config.js';

const APPS = fileURLToPath(new URL('../..', import.meta.url));

/**
 * The API first, then what delivers webhooks, then the workers. `keyFile`: where the environment has no key of its own;
 * `metricsPorts`: of each of them in this order, any free one where left out.
 */
export function commandsOf(
  config: Config,
  redisUrl: string,
  workers: number,
  keyFile?: string,
  metricsPorts: readonly number[] = [],
): Command[] {
  const metrics = (place: number) => ({ SHOAL_METRICS_PORT: String(metricsPorts[place] ?? 0) });
  const shared = {
    REDIS_URL: redisUrl,
    SHOAL_MODELS_DIR: config.SHOAL_MODELS_DIR,
    SHOAL_CACHE_DIR: cacheDirOf(config),
    SHOAL_DRAIN_TIMEOUT: config.SHOAL_DRAIN_TIMEOUT,
  };
  const key = keyFile === undefined ? {} : { SHOAL_SECRET_KEY_FILE: keyFile };
  const api: Command = {
    name: 'api',
    script: join(APPS, 'api/dist/main.js'),
    env: override(config.environment, {
      ...shared,
      ...key,
      SHOAL_STORE: storeOf(config),
      PORT: String(config.PORT),
      SHOAL_HOST: config.SHOAL_HOST,
      ...metrics(0),
    }),
    // It answers once Redis has; without a model it takes no jobs, which is not for others to wait for.
    ready: { url: `${addressOf(config)}/healthz` },
  };
  const webhooks: Command = {
    name: 'webhooks',
    script: join(APPS, 'webhooks/dist/main.js'),
    env: override(config.environment, { ...shared, ...key, ...metrics(1) }),
    ready: { event: 'webhooks.ready' },
  };
  const worker = (name: string, index = 0): Command => ({
    name,
    script: join(APPS, 'worker/dist/start.cjs'),
    env: override(withoutKey(config.environment), { ...shared, ...metrics(2 + index) }),
    ready: { event: 'worker.ready' },
  });
  if (workers === 1) return [api, webhooks, worker('worker')];
  return [api, webhooks, ...Array.from({ length: workers }, (_, index) => worker(`worker ${index + 1}`, index))];
}

/** Where this machine reaches the API. */
export function addressOf({ SHOAL_HOST: host, PORT: port }: Pick<Config, 'SHOAL_HOST' | 'PORT'>): string {
  return httpOrigin(host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host, port);
}

/** Workers run models and need no secrets. */
function withoutKey(environment: Environment): Environment {
  const { SHOAL_SECRET_KEY: _key, SHOAL_SECRET_KEY_FILE: _file, ...rest } = environment;
  return rest;
}

/** A variable that is set here must not be given as a file as well. */
function override(environment: Environment, variables: Readonly<Record<string, string>>): Environment {
  const files = Object.keys(variables).map((name) => [`${name}_FILE`, undefined]);
  return { ...environment, ...Object.fromEntries(files), ...variables };
}
