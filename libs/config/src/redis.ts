/** The variables that say where Redis is: the same ones for every process. */
import { z } from 'zod';
import { ConfigError } from './read-config.js';
import { redisUrl } from './redis-url.js';
import { boolean, certificates, list } from './variables.js';

const DEFAULT_URL = 'redis://127.0.0.1:6379';
const SENTINEL_PORT = '26379';

/** To be spread into a schema. */
export const redisVariables = {
  /** `rediss://` for TLS; of a Cluster any of its nodes. A server of this machine where left out. */
  REDIS_URL: redisUrl().optional(),
  /** PEM file of the authorities that may sign Redis's certificate, in place of the system's. */
  SHOAL_REDIS_CA: certificates().optional(),
  SHOAL_REDIS_CLUSTER: boolean().default(false),
  /** URLs of Sentinels, separated by commas, who then say which server is the primary that REDIS_URL's host names. */
  SHOAL_REDIS_SENTINELS: list().pipe(z.array(redisUrl())).default([]),
  /** Start although Redis may evict what it was given: for trying things out. */
  SHOAL_REDIS_ALLOW_EVICTION: boolean().default(false),
};

export interface RedisVariables {
  readonly REDIS_URL?: string | undefined;
  readonly SHOAL_REDIS_CA?: string | undefined;
  readonly SHOAL_REDIS_CLUSTER: boolean;
  readonly SHOAL_REDIS_SENTINELS: readonly string[];
  readonly SHOAL_REDIS_ALLOW_EVICTION: boolean;
}

/** As libs/queue takes it. */
export interface RedisSettings {
  readonly redisUrl: string;
  readonly redisCa: string | undefined;
  readonly redisCluster: boolean;
  readonly redisSentinels: readonly string[];
  readonly allowEviction: boolean;
}

/** @throws ConfigError where a variable would have no effect, or does not fit the others */
export function redisSettings(variables: RedisVariables): RedisSettings {
  const { REDIS_URL: redisUrl = DEFAULT_URL, SHOAL_REDIS_CA: redisCa, SHOAL_REDIS_CLUSTER: redisCluster } = variables;
  const { protocol, pathname } = new URL(redisUrl);
  const redisSentinels = variables.SHOAL_REDIS_SENTINELS.map(withPort);
  const tls = [protocol, ...redisSentinels.map((url) => new URL(url).protocol)].includes('rediss:');
  if (redisCa !== undefined && !tls) {
    throw new ConfigError([{ variable: 'SHOAL_REDIS_CA', message: 'needs a REDIS_URL that starts with rediss://' }]);
  }
  if (redisCluster && !['', '/', '/0'].includes(pathname)) {
    throw new ConfigError([{ variable: 'REDIS_URL', message: 'must not name a database: a Cluster has only one' }]);
  }
  if (redisSentinels.length > 0) checkSentinels(variables, redisSentinels);
  return { redisUrl, redisCa, redisCluster, redisSentinels, allowEviction: variables.SHOAL_REDIS_ALLOW_EVICTION };
}

function checkSentinels({ REDIS_URL, SHOAL_REDIS_CLUSTER }: RedisVariables, sentinels: readonly string[]): void {
  const refuse = (message: string, variable = 'SHOAL_REDIS_SENTINELS'): never => {
    throw new ConfigError([{ variable, message }]);
  };
  if (SHOAL_REDIS_CLUSTER) refuse('a Cluster has no Sentinels: leave SHOAL_REDIS_CLUSTER or this out');
  if (REDIS_URL === undefined) refuse('needs a REDIS_URL whose host is the name of the primary: redis://mymaster');
  if (new URL(REDIS_URL!).port !== '') refuse('must have no port: the Sentinels know it', 'REDIS_URL');
  const logins = sentinels.map((url) => {
    const { protocol, username, password, pathname } = new URL(url);
    if (!['', '/'].includes(pathname)) refuse('must not name a database: Sentinels have none');
    return `${protocol}${username}:${password}`;
  });
  if (new Set(logins).size > 1) refuse('must all have the same scheme, user and password');
}

function withPort(value: string): string {
  const url = new URL(value);
  if (url.port === '') url.port = SENTINEL_PORT;
  return url.href;
}
