/** Secrets at rest: AES-256-GCM under the key of the installation, bound to the tenant they belong to. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
/** NIST SP 800-38D recommends 96 bits; at random, good for 2³² secrets per key. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Names the form, so that another one can be told apart later. */
const VERSION = 'v1.';

/** The key from 64 hex digits or base64 of 32 bytes; undefined where it is neither. */
export function parseSecretKey(text: string): Buffer | undefined {
  const hex = /^[0-9a-f]{64}$/i.test(text);
  if (!hex && !/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined;
  const key = Buffer.from(text, hex ? 'hex' : 'base64');
  return key.length === KEY_BYTES ? key : undefined;
}

export class SecretBox {
  readonly #key: Buffer;
  readonly #random: (bytes: number) => Buffer;

  /** `key`: 32 bytes. */
  constructor(key: Buffer, random: (bytes: number) => Buffer = randomBytes) {
    this.#key = key;
    this.#random = random;
  }

  seal(secret: string, tenant: string): string {
    const nonce = this.#random(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce).setAAD(Buffer.from(tenant));
    const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
    return VERSION + Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64');
  }

  /** Throws where it was sealed with another key or for another tenant, or was changed. */
  open(sealed: string, tenant: string): string {
    if (!sealed.startsWith(VERSION)) throw new Error('a sealed secret of an unknown form');
    const bytes = Buffer.from(sealed.slice(VERSION.length), 'base64');
    const nonce = bytes.subarray(0, NONCE_BYTES);
    const tag = bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
    const decipher = createDecipheriv(ALGORITHM, this.#key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(tenant)).setAuthTag(tag);
    const text = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
    return Buffer.concat([text, decipher.final()]).toString('utf8');
  }
}
