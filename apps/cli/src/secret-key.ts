/** The key that seals the secrets of webhooks: made at the first start, kept in a file that only its owner reads. */
import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const KEY_BYTES = 32;
const OWNER_ONLY = 0o600;

/** Path of the file, which is there when this returns. */
export function ensureSecretKey(dataDir: string, random: (bytes: number) => Buffer = randomBytes): string {
  const path = join(dataDir, 'secret-key');
  if (existsSync(path)) return path;
  mkdirSync(dataDir, { recursive: true });
  // Linked when it is whole: a file cut short would be a key that opens nothing.
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${random(KEY_BYTES).toString('base64')}\n`, { mode: OWNER_ONLY, flush: true });
  try {
    linkSync(draft, path);
  } catch (error) {
    // Another start was faster; its key is the one.
    if (!existsSync(path)) throw error;
  } finally {
    rmSync(draft);
  }
  return path;
}
