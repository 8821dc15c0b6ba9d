/** Environment variables that the API and the process that sends must have in common, as schemas. */
import { z } from 'zod';
import { parseSecretKey, SecretBox } from './secret-box.js';

/** `SHOAL_SECRET_KEY`: 32 bytes in base64 or hex. */
export function secretKey() {
  return z.string().transform((value, context) => {
    const key = parseSecretKey(value);
    if (key !== undefined) return new SecretBox(key);
    context.addIssue('must be 32 bytes in base64 or hex; openssl rand -base64 32 makes them');
    return z.NEVER;
  });
}
