/** Where Redis is, and what ioredis is to be told of it. */
import type { RedisOptions } from 'ioredis';
import { PrimaryConnector } from './primary-connector.js';

/** Where Redis is, and how it is to be reached. */
export interface RedisTarget {
  /** `redis://user:password@host:port/database`; `rediss://` for TLS. With Sentinels the host is the primary's name. */
  readonly redisUrl: string;
  /** Certificates (PEM) of the authorities that may sign Redis's, in place of the system's. */
  readonly redisCa?: string | undefined;
  /** True for a Redis Cluster; the URL then names any of its nodes. */
  readonly redisCluster?: boolean | undefined;
  /** URLs of Sentinels, with their ports and with the same login; they say which server is the primary. */
  readonly redisSentinels?: readonly string[] | undefined;
  /** True: a Redis that may evict what it was given will do. */
  readonly allowEviction?: boolean | undefined;
}

type Login = Pick<RedisOptions, 'username' | 'password' | 'db' | 'tls' | 'disableClientInfo'>;

/** A server by its address; it has to be a primary, unless it is a node of a Cluster. */
export type ServerOptions = Login & Pick<RedisOptions, 'Connector'> & { readonly host: string; readonly port: number };

type SentinelOptions = Pick<
  RedisOptions,
  'sentinels' | 'name' | 'sentinelUsername' | 'sentinelPassword' | 'sentinelTLS' | 'enableTLSForSentinelMode'
>;

/** The one server, or the one node of a Cluster, that the URL names. */
export function serverOptions(target: RedisTarget): ServerOptions {
  const { hostname, port } = new URL(target.redisUrl);
  return {
    host: unbracketed(hostname),
    port: Number(port || 6379),
    ...loginOf(target),
    ...(!target.redisCluster && { Connector: PrimaryConnector }),
  };
}

/** The server that is the primary by the word of the Sentinels. */
export function sentinelOptions(target: RedisTarget, sentinels: readonly string[]): Login & SentinelOptions {
  const [{ protocol, username, password }] = sentinels.map((url) => new URL(url)) as [URL];
  return {
    sentinels: sentinels.map((url) => {
      const { hostname, port } = new URL(url);
      return { host: unbracketed(hostname), port: Number(port) };
    }),
    name: new URL(target.redisUrl).hostname,
    ...(username && { sentinelUsername: decodeURIComponent(username) }),
    ...(password && { sentinelPassword: decodeURIComponent(password) }),
    ...(protocol === 'rediss:' && { sentinelTLS: tlsOf(target) }),
    enableTLSForSentinelMode: true,
    ...loginOf(target),
  };
}

function loginOf(target: RedisTarget): Login {
  const { protocol, username, password, pathname } = new URL(target.redisUrl);
  const db = Number(pathname.slice(1));
  return {
    ...(username && { username: decodeURIComponent(username) }),
    // A user that Redis lets in without a password has to give one all the same.
    ...((username || password) && { password: decodeURIComponent(password) }),
    ...(!target.redisCluster && db > 0 && { db }),
    ...(protocol === 'rediss:' && { tls: tlsOf(target) }),
    // Else each connection begins with a command that least privilege would have to allow.
    disableClientInfo: true,
  };
}

function tlsOf({ redisCa }: RedisTarget): { ca?: string } {
  return redisCa === undefined ? {} : { ca: redisCa };
}

function unbracketed(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}
