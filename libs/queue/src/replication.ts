/**
 * Replicated acknowledgement: a submission counts only once enough replicas of Redis have it. Redis's WAIT tells how many
 * have all that its connection wrote, and blocks that connection meanwhile; so producers that ask for it share a connection
 * of their own, and ask once for a whole commit.
 */
import { ShoalError } from '@shoal/contracts';
import { Cluster } from 'ioredis';
import type { RedisClient } from './redis.js';

export interface Replication {
  /** Replicas that must have a submission before it is acknowledged; 0: none is waited for. */
  readonly minReplicas: number;
  /** How long they may take. */
  readonly timeoutMs: number;
}

/**
 * @param keys what was written; of a cluster each node that has one of them is asked, for its own replicas
 * @throws ShoalError `not_replicated`; the job is admitted all the same, and a repeat under its key finds it.
 */
export async function awaitReplicas(
  redis: RedisClient,
  keys: readonly string[],
  { minReplicas, timeoutMs }: Replication,
): Promise<void> {
  const confirmed =
    redis instanceof Cluster
      ? Math.min(...(await Promise.all(keys.map((key) => waitOnNode(redis, key, minReplicas, timeoutMs)))))
      : await redis.wait(minReplicas, timeoutMs);
  if (confirmed >= minReplicas) return;
  throw new ShoalError(
    'not_replicated',
    `${confirmed} of ${minReplicas} replicas have confirmed the job in time; repeat the request with the same Idempotency-Key`,
    { retryAfter: 1 },
  );
}

/** WAIT names no key: the command before it takes it to the connection that wrote this one. */
async function waitOnNode(cluster: Cluster, key: string, minReplicas: number, timeoutMs: number): Promise<number> {
  const replies = (await cluster.pipeline().exists(key).wait(minReplicas, timeoutMs).exec()) ?? [];
  for (const [error] of replies) if (error) throw error;
  return Number(replies[1]?.[1]);
}
