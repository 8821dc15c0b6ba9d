/** From the Authorization header to the tenant whose key it carries. */
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

/**
 * The tenant of a request, or `unauthorized`. Every key is compared, each in constant time, so that the time taken tells
 * nothing about the keys. (They are random, so a fast hash is enough.)
 */
export function authenticate(keys: readonly ApiKey[], authorization: string | undefined): Tenant {
  if (keys.length === 0) return SOLE_TENANT;
  const presented = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  if (presented === undefined) throw new ShoalError('unauthorized', 'Send "Authorization: Bearer <API key>".');
  const digest = digestOf(presented);
  let tenant: Tenant | undefined;
  for (const key of keys) {
    if (timingSafeEqual(key.digest, digest)) tenant = key.tenant;
  }
  if (tenant === undefined) throw new ShoalError('unauthorized', 'This API key is not known.');
  return tenant;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before any handler runs, on every route that needs a key. */
    tenant: Tenant | null;
  }
}

/** The tenant of the request, as a handler's parameter. */
export const CurrentTenant = createParamDecorator((_: unknown, context: ExecutionContext): Tenant => {
  const { tenant } = context.switchToHttp().getRequest<FastifyRequest>();
  if (tenant === null) throw new Error('this route was served without a tenant');
  return tenant;
});
