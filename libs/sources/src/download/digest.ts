/** Digests of files while they come. */
import { createHash, type Hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Digest } from '../source-file.js';

export interface Digester {
  update(chunk: Uint8Array): void;
  /** Lower-case hexadecimal. Once only. */
  value(): string;
}

/** `size` is that of the whole file, in bytes: the digest of a git blob begins with it. */
export function digester(algorithm: Digest['algorithm'], size: number): Digester {
  if (algorithm === 'crc32') return crcDigester();
  const hash: Hash = createHash(algorithm === 'git' ? 'sha1' : algorithm);
  if (algorithm === 'git') hash.update(`blob ${size}\0`);
  return { update: (chunk) => void hash.update(chunk), value: () => hash.digest('hex') };
}

function crcDigester(): Digester {
  let sum = 0;
  return {
    update: (chunk) => {
      sum = crc32(chunk, sum);
    },
    value: () => sum.toString(16).padStart(8, '0'),
  };
}

/** What people call it. */
export function nameOf(algorithm: Digest['algorithm']): string {
  return { sha256: 'SHA-256', git: 'git blob SHA-1', md5: 'MD5', crc32: 'CRC-32' }[algorithm];
}
