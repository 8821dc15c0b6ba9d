/** From the Authorization header to the key that it carries, and to that key's tenant. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ShoalError } from '@shoal/contracts';
import type { Tenant } from '@shoal/queue';
import type { FastifyRequest } from 'fastify';

/** One key as it is kept: never the key itself, only its SHA-256. */
export interface ApiKey {
  readonly tenant: Tenant;
  readonly digest: Buffer;
}

/** Whom every request belongs to where no keys are configured. */
export const SOLE_TENANT: Tenant = { name: 'default', weight: 1 };

export function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

/** The tenant of a request, or `unauthorized`. */
export function authenticate(keys: readonly ApiKey[], authorization: string | undefined): Tenant {
  return keys.length === 0 ? SOLE_TENANT : findKey(keys, authorization).tenant;
}

/**
 * The key that a request carries, or `unauthorized`. Every key is compared, each in constant time, so that the time taken
 * tells nothing about the keys. (They are random, so a fast hash is enough.)
 */
export function findKey<Key extends ApiKey>(keys: readonly Key[], authorization: string | undefined): Key {
  const presented = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  if (presented === undefined) throw new ShoalError('unauthorized', 'Send "Authorization: Bearer <API key>".');
  const digest = digestOf(presented);
  let found: Key | undefined;
  for (const key of keys) {
    if (timingSafeEqual(key.digest, digest)) found = key;
  }
  if (found === undefined) throw new ShoalError('unauthorized', 'This API key is not known.');
  return found;
}

/** The tenant of the request, as a handler's parameter. */
export const CurrentTenant = createParamDecorator((_: unknown, context: ExecutionContext): Tenant => {
  const { permit } = context.switchToHttp().getRequest<FastifyRequest>();
  if (permit === null) throw new Error('this route was served without a tenant');
  return permit.tenant;
});
