/**
 * Replicated acknowledgement: a submission counts only once enough replicas of Redis have it. Redis's WAIT tells how many
 * have all that its connection wrote, and blocks that connection meanwhile; so producers that ask for it share a connection
 * of their own, and ask once for a whole commit.
 */
import { ShoalError } from '@shoal/contracts';
import type { Redis } from 'ioredis';

export interface Replication {
  /** Replicas that must have a submission before it is acknowledged; 0: none is waited for. */
  readonly minReplicas: number;
  /** How long they may take. */
  readonly timeoutMs: number;
}

/** @throws ShoalError `not_replicated`; the job is admitted all the same, and a repeat under its key finds it. */
export async function awaitReplicas(redis: Redis, { minReplicas, timeoutMs }: Replication): Promise<void> {
  if (minReplicas === 0) return;
  const confirmed = await redis.wait(minReplicas, timeoutMs);
  if (confirmed >= minReplicas) return;
  throw new ShoalError(
    'not_replicated',
    `${confirmed} of ${minReplicas} replicas have confirmed the job in time; repeat the request with the same Idempotency-Key`,
    { retryAfter: 1 },
  );
}
