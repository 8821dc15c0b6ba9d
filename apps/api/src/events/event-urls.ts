/**
 * Addresses of a job's events that need no Authorization header, for readers that cannot send one (an EventSource). The
 * token is an HMAC over job, tenant and expiry, under the API key that asked for it: every replica that knows the key
 * knows its tokens, and they end with the key.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { ShoalError } from '@shoal/contracts';
import type { Tenant } from '@shoal/queue';
import { type ApiKey, findKey } from '../http/tenant.js';

/** Sets these keys apart from whatever else is made from an API key's hash. */
const PURPOSE = 'shoal event url';

/** `<expiry in Unix seconds>.<MAC>` */
const TOKEN = /^(\d{10})\.([A-Za-z0-9_-]{43})$/;

interface SigningKey extends ApiKey {
  readonly secret: Buffer;
}

export class EventUrls {
  readonly #keys: readonly SigningKey[];
  readonly #clock: () => number;

  /** `clock`: Unix ms. */
  constructor(keys: readonly ApiKey[], clock: () => number) {
    this.#keys = keys.map((key) => ({ ...key, secret: Buffer.from(hkdfSync('sha256', key.digest, '', PURPOSE, 32)) }));
    this.#clock = clock;
  }

  /** The path to a job's events, open for `seconds`. Without API keys it is open anyway. */
  sign(authorization: string | undefined, job: string, seconds: number): { url: string; expiresAt: string } {
    const expiry = Math.floor(this.#clock() / 1000) + seconds;
    const path = `/v1/jobs/${job}/events`;
    const expiresAt = new Date(expiry * 1000).toISOString();
    if (this.#keys.length === 0) return { url: path, expiresAt };
    const key = findKey(this.#keys, authorization);
    return { url: `${path}?token=${expiry}.${mac(key, job, expiry).toString('base64url')}`, expiresAt };
  }

  /** Whose job's events the token opens. Throws `unauthorized`. */
  tenantOf(token: string, job: string): Tenant {
    const [, expiry, given] = TOKEN.exec(token) ?? [];
    if (expiry !== undefined && given !== undefined) {
      const bytes = Buffer.from(given, 'base64url');
      const key = this.#keys.find((each) => timingSafeEqual(mac(each, job, Number(expiry)), bytes));
      if (key && Number(expiry) * 1000 > this.#clock()) return key.tenant;
    }
    throw new ShoalError('unauthorized', 'This token does not open the events of this job, or not any more.');
  }
}

function mac({ secret, tenant }: SigningKey, job: string, expiry: number): Buffer {
  return createHmac('sha256', secret).update(`${tenant.name}\n${job}\n${expiry}`).digest();
}
