/** The variables that say where Redis is: the same ones for every process. */
import { ConfigError } from './read-config.js';
import { boolean, certificates, url } from './variables.js';

const DEFAULT_URL = 'redis://127.0.0.1:6379';

/** To be spread into a schema. */
export const redisVariables = {
  /** `rediss://` for TLS; of a Cluster any of its nodes. A server of this machine where left out. */
  REDIS_URL: url(['redis', 'rediss']).optional(),
  /** PEM file of the authorities that may sign Redis's certificate, in place of the system's. */
  SHOAL_REDIS_CA: certificates().optional(),
  SHOAL_REDIS_CLUSTER: boolean().default(false),
};

export interface RedisVariables {
  readonly REDIS_URL?: string | undefined;
  readonly SHOAL_REDIS_CA?: string | undefined;
  readonly SHOAL_REDIS_CLUSTER: boolean;
}

/** As libs/queue takes it. */
export interface RedisSettings {
  readonly redisUrl: string;
  readonly redisCa: string | undefined;
  readonly redisCluster: boolean;
}

/** @throws ConfigError where a variable would have no effect */
export function redisSettings(variables: RedisVariables): RedisSettings {
  const { REDIS_URL: redisUrl = DEFAULT_URL, SHOAL_REDIS_CA: redisCa, SHOAL_REDIS_CLUSTER: redisCluster } = variables;
  const { protocol, pathname } = new URL(redisUrl);
  if (redisCa !== undefined && protocol !== 'rediss:') {
    throw new ConfigError([{ variable: 'SHOAL_REDIS_CA', message: 'needs a REDIS_URL that starts with rediss://' }]);
  }
  if (redisCluster && !['', '/', '/0'].includes(pathname)) {
    throw new ConfigError([{ variable: 'REDIS_URL', message: 'must not name a database: a Cluster has only one' }]);
  }
  return { redisUrl, redisCa, redisCluster };
}
