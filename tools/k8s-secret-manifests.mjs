// @ts-check
/** The Secrets that Shoal's manifests refer to (k8s/external.json), from the variables that its processes know. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './root.mjs';
import { UserError } from './user-error.mjs';

/** @typedef {Readonly<Record<string, string | undefined>>} Environment */

/** Where the overlay `dev` has its Redis. */
const DEV_REDIS = 'redis.shoal.svc:6379';

/** Users of docker/redis/users.acl beside the API's, with the variables of their passwords. */
const USERS = {
  worker: { name: 'shoal-worker', variable: 'SHOAL_REDIS_WORKER_PASSWORD' },
  webhooks: { name: 'shoal-webhooks', variable: 'SHOAL_REDIS_WEBHOOKS_PASSWORD' },
};

/**
 * A List for `kubectl create -f -`. What is not given and can be made is made.
 *
 * @param {Environment} env
 * @param {{ dev: boolean, random: (bytes: number) => Buffer }} options `dev`: for the Redis inside of the cluster
 */
export function secretManifests(env, { dev, random }) {
  const redis = dev ? devRedis(random) : { env, acl: {} };
  const apiKeys = env.SHOAL_API_KEYS || (dev ? `local:${random(24).toString('hex')}` : required(env, 'SHOAL_API_KEYS'));
  return {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      secret('shoal-redis', {
        ...redisParts(redis.env),
        ca: readCertificate(env.SHOAL_REDIS_CA),
        ...redis.acl,
      }),
      secret('shoal-api', {
        'api-keys': apiKeys,
        'autoscale-token': env.SHOAL_AUTOSCALE_TOKEN || random(32).toString('hex'),
      }),
      secret('shoal-webhooks', { 'secret-key': env.SHOAL_SECRET_KEY || random(32).toString('base64') }),
    ],
  };
}

/**
 * Passwords for all users of the Redis inside of the cluster, and its ACL file, which holds their digests.
 *
 * @param {(bytes: number) => Buffer} random
 */
function devRedis(random) {
  const password = () => random(32).toString('hex');
  const passwords = Object.fromEntries(Object.values(USERS).map(({ variable }) => [variable, password()]));
  const own = password();
  const { stdout, status, stderr } = spawnSync('sh', [join(ROOT, 'docker/redis/acl.sh')], {
    env: { PATH: process.env.PATH, SHOAL_REDIS_PASSWORD: own, ...passwords },
    encoding: 'utf8',
  });
  if (status !== 0) throw new UserError(`docker/redis/acl.sh failed: ${stderr}`);
  return { env: { REDIS_URL: `redis://shoal:${own}@${DEV_REDIS}`, ...passwords }, acl: { 'users.acl': stdout } };
}

/**
 * @param {string} name
 * @param {Record<string, string>} stringData
 */
function secret(name, stringData) {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'shoal' }, stringData };
}

/**
 * @param {Environment} env
 * @param {string} name
 */
function required(env, name) {
  const value = env[name];
  if (!value) throw new UserError(`set ${name}, or give --dev for a Redis inside of the cluster.`);
  return value;
}

/**
 * A URL for each app. Who has no password of its own is the user of REDIS_URL.
 *
 * @param {Environment} env
 */
function redisParts(env) {
  const url = required(env, 'REDIS_URL');
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^rediss?:$/.test(parsed.protocol) || parsed.hostname === '') {
    throw new UserError('REDIS_URL must be redis[s]://user:password@host:port.');
  }
  /** @param {{ name: string, variable: string }} user */
  const as = ({ name, variable }) => {
    const password = env[variable];
    const own = new URL(url);
    if (password) Object.assign(own, { username: name, password: encodeURIComponent(password) });
    return own;
  };
  return {
    url,
    'worker-url': as(USERS.worker).href,
    'webhooks-url': as(USERS.webhooks).href,
  };
}

/** @param {string | undefined} file */
function readCertificate(file) {
  if (!file) return '';
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new UserError('SHOAL_REDIS_CA must name a PEM file that can be read.');
  }
}
