/** Lists of sealed secrets: the one in use, and those before it that go on signing for a while. */
import { MAX_OVERLAPPING_SECRETS, ShoalError } from '@shoal/contracts';
import type { RedisClient } from '../redis.js';
import { script } from '../scripts.js';
import { tenantTag } from './keys.js';
import type { SealedSecret } from './types.js';

const FIELD = 'secrets';
/** A tenant's own secret, for webhooks of jobs without one. */
export const TENANT_SECRET = ':secret';

const swapScript = script<0 | 1>('webhooks/swap-secrets.lua');

export function parseSecrets(text: string | null | undefined): SealedSecret[] {
  return text ? (JSON.parse(text) as SealedSecret[]) : [];
}

export function formatSecrets(secrets: readonly SealedSecret[]): string {
  return JSON.stringify(secrets);
}

/** Those that sign at `now`, the newest first. */
export function liveSecrets(secrets: readonly SealedSecret[], now: number): SealedSecret[] {
  return secrets.filter(({ until }) => until === null || until > now);
}

/** The list once `sealed` is the secret in use; the one before signs for `overlapMs` more. Throws `limit_reached`. */
export function rotate(
  secrets: readonly SealedSecret[],
  sealed: string,
  overlapMs: number,
  now: number,
): SealedSecret[] {
  const until = now + overlapMs;
  const before = liveSecrets(
    secrets.map((secret) => ({ ...secret, until: secret.until ?? until })),
    now,
  );
  if (before.length > MAX_OVERLAPPING_SECRETS) {
    throw new ShoalError(
      'limit_reached',
      `${MAX_OVERLAPPING_SECRETS} secrets before this one still sign; wait for one`,
    );
  }
  return [{ sealed, until: null }, ...before];
}

export async function readSecrets(redis: RedisClient, tenant: string, key: string): Promise<SealedSecret[]> {
  return parseSecrets(await redis.hget(tenantTag(tenant) + key, FIELD));
}

/** Applies `change` to the list as it then stands, whoever else changes it meanwhile; the list before and after. */
export async function changeSecrets(
  redis: RedisClient,
  tenant: string,
  key: string,
  change: (before: readonly SealedSecret[]) => readonly SealedSecret[],
): Promise<readonly SealedSecret[]> {
  for (;;) {
    const text = await redis.hget(tenantTag(tenant) + key, FIELD);
    const before = parseSecrets(text);
    const after = change(before);
    if (after === before) return before;
    const swapped = await swapScript(redis, tenantTag(tenant), [key, text ?? '', formatSecrets(after)]);
    if (swapped === 1) return after;
  }
}
