import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ensureSecretKey } from './secret-key.js';

test('is made once, 32 bytes that only the owner reads', () => {
  const parent = mkdtempSync(join(tmpdir(), 'shoal-key-'));
  onTestFinished(() => rmSync(parent, { recursive: true }));
  const dir = join(parent, 'data');
  const path = ensureSecretKey(dir);
  const key = readFileSync(path, 'utf8');
  expect(Buffer.from(key, 'base64')).toHaveLength(32);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(ensureSecretKey(dir)).toBe(path);
  expect(readFileSync(path, 'utf8')).toBe(key);
  expect(readdirSync(dir)).toEqual(['secret-key']);
});
