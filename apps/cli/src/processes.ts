/** Which processes `shoal start` runs, and with what environment. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Environment } from '@shoal/config';
import type { Command } from './child.js';
import type { Config } from './config.js';

const APPS = fileURLToPath(new URL('../..', import.meta.url));

/** The API first, then the workers. */
export function commandsOf(config: Config, redisUrl: string, workers: number): Command[] {
  const shared = {
    REDIS_URL: redisUrl,
    SHOAL_MODELS_DIR: config.SHOAL_MODELS_DIR,
    SHOAL_CACHE_DIR: config.SHOAL_CACHE_DIR ?? join(config.SHOAL_DATA_DIR, 'cache'),
    SHOAL_DRAIN_TIMEOUT: config.SHOAL_DRAIN_TIMEOUT,
  };
  const api: Command = {
    name: 'api',
    script: join(APPS, 'api/dist/main.js'),
    env: override(config.environment, {
      ...shared,
      PORT: String(config.PORT),
      SHOAL_HOST: config.SHOAL_HOST,
      SHOAL_METRICS_PORT: String(config.SHOAL_METRICS_PORT),
    }),
    ready: { url: `${addressOf(config)}/readyz` },
  };
  const worker = (name: string): Command => ({
    name,
    script: join(APPS, 'worker/dist/main.js'),
    // A free port each: several workers on one machine cannot share the one that the environment may name.
    env: override(config.environment, { ...shared, SHOAL_METRICS_PORT: '0' }),
    ready: { event: 'worker.ready' },
  });
  if (workers === 1) return [api, worker('worker')];
  return [api, ...Array.from({ length: workers }, (_, index) => worker(`worker ${index + 1}`))];
}

/** Where this machine reaches the API. */
export function addressOf({ SHOAL_HOST: host, PORT: port }: Pick<Config, 'SHOAL_HOST' | 'PORT'>): string {
  if (host === '0.0.0.0' || host === '::') return `http://127.0.0.1:${port}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** A variable that is set here must not be given as a file as well. */
function override(environment: Environment, variables: Readonly<Record<string, string>>): Environment {
  const files = Object.keys(variables).map((name) => [`${name}_FILE`, undefined]);
  return { ...environment, ...Object.fromEntries(files), ...variables };
}
