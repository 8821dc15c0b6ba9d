/** Signatures of Standard Webhooks 1.0: HMAC-SHA256 over `<id>.<timestamp>.<body>`, one per live secret. */
import { createHmac, randomBytes } from 'node:crypto';

const PREFIX = 'whsec_';

/** `whsec_` and base64 of 32 random bytes. */
export function newSecret(random: (bytes: number) => Buffer = randomBytes): string {
  return `${PREFIX}${random(32).toString('base64')}`;
}

export interface Signed {
  readonly id: string;
  /** Unix seconds of this attempt. */
  readonly timestamp: number;
  readonly body: Buffer;
}

/** The value of `webhook-signature`: `v1,<base64>`, separated by spaces where several secrets are live. */
export function signatureOf({ id, timestamp, body }: Signed, secrets: readonly string[]): string {
  return secrets
    .map((secret) => {
      const hmac = createHmac('sha256', Buffer.from(secret.slice(PREFIX.length), 'base64'));
      return `v1,${hmac.update(`${id}.${timestamp}.`).update(body).digest('base64')}`;
    })
    .join(' ');
}
