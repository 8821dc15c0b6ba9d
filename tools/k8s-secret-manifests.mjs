// @ts-check
/** The Secrets that Shoal's manifests refer to (k8s/external.json), from the variables that its processes know. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { UserError } from './user-error.mjs';

/** @typedef {Readonly<Record<string, string | undefined>>} Environment */

/** Where the overlay `dev` has its Redis; KEDA asks from another namespace. */
const DEV_REDIS = 'redis.shoal.svc:6379';

/**
 * A List for `kubectl create -f -`. What is not given and can be made is made.
 *
 * @param {Environment} env
 * @param {{ dev: boolean, random: (bytes: number) => Buffer }} options `dev`: for the Redis inside of the cluster
 */
export function secretManifests(env, { dev, random }) {
  const password = random(32).toString('hex');
  const redisUrl = dev ? `redis://shoal:${password}@${DEV_REDIS}` : required(env, 'REDIS_URL');
  const apiKeys = env.SHOAL_API_KEYS || (dev ? `local:${random(24).toString('hex')}` : required(env, 'SHOAL_API_KEYS'));
  return {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      secret('shoal-redis', {
        ...redisParts(redisUrl),
        ca: readCertificate(env.SHOAL_REDIS_CA),
        ...(dev && { 'users.acl': usersOf(password) }),
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
 * The URL for Shoal, and its parts for KEDA.
 *
 * @param {string} url
 */
function redisParts(url) {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^rediss?:$/.test(parsed.protocol) || parsed.hostname === '') {
    throw new UserError('REDIS_URL must be redis[s]://user:password@host:port.');
  }
  const { protocol, hostname, port, username, password } = parsed;
  return {
    url,
    address: `${hostname}:${port || 6379}`,
    username: decodeURIComponent(username),
    password: decodeURIComponent(password),
    tls: protocol === 'rediss:' ? 'enable' : 'disable',
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

/** @param {string} password */
function usersOf(password) {
  const hash = createHash('sha256').update(password).digest('hex');
  return `user default off\nuser shoal on #${hash} ~* &* +@all\n`;
}
