/** Environment variables that the API and the process that sends must have in common, as schemas. */
import { z } from 'zod';
import { AllowList } from './allow-list.js';
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

/** `SHOAL_WEBHOOK_ALLOW`: networks with a port each, separated by commas. */
export function allowList() {
  return z.string().transform((value, context) => {
    try {
      return new AllowList(value.split(',').map((entry) => entry.trim()));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      context.addIssue(error.message);
      return z.NEVER;
    }
  });
}
