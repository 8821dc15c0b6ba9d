/** Files that do not change are read once; whatever changes is read again. */
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FileHashes } from './file-hashes.js';

const SIZE = 8 * 2 ** 20;

let folder: string;
let files: readonly string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-hashes-'));
  files = ['a', 'b'].map((name) => join(folder, name));
  for (const [n, file] of files.entries()) writeFileSync(file, Buffer.alloc(SIZE, n));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** By the kernel's count of what this process has read. */
async function reads(work: () => Promise<unknown>): Promise<boolean> {
  const count = () => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))![1]);
  const before = count();
  await work();
  return count() - before > SIZE;
}

const whole = () => {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex');
};

test('what stands still is read once, and each who asks may add to the hash', async () => {
  const hashes = new FileHashes(0);
  const first = await hashes.of(files);
  first.update('more');
  expect(first.digest('hex')).toBe(
    createHash('sha256').update(Buffer.alloc(SIZE, 0)).update(Buffer.alloc(SIZE, 1)).update('more').digest('hex'),
  );
  expect(await reads(() => hashes.of(files))).toBe(false);
  expect((await hashes.of(files)).digest('hex')).toBe(whole());
  // Another list is another hash.
  expect(await reads(() => hashes.of([...files].reverse()))).toBe(true);
});

test.each<[string, (file: string) => void]>([
  ['written in its place', (file) => writeFileSync(file, Buffer.alloc(SIZE, 7))],
  [
    'replaced by one of the same size and time',
    (file) => {
      const { atime, mtime } = statSync(file);
      cpSync(files[0]!, `${file}.new`);
      utimesSync(`${file}.new`, atime, mtime);
      renameSync(`${file}.new`, file);
    },
  ],
])('a file that was %s is read again', async (_, change) => {
  const hashes = new FileHashes(0);
  await hashes.of(files);
  change(files[1]!);
  expect((await hashes.of(files)).digest('hex')).toBe(whole());
});

test('what was changed a moment ago is read each time: it may look the same after another change', async () => {
  const hashes = new FileHashes(600_000);
  await hashes.of(files);
  expect(await reads(() => hashes.of(files))).toBe(true);
});

test('ends with the reason of its signal', async () => {
  const reason = new Error('stopped');
  await expect(new FileHashes().of(files, AbortSignal.abort(reason))).rejects.toBe(reason);
});
