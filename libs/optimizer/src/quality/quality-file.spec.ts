/** quality.json keeps what is known of every variant, whoever writes it at once, and is never there by half. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { measured } from '../testing/measured.js';
import { probeQuality, readQuality, writeQuality } from './quality-file.js';

/** Compiled: other processes run it. */
const RACER = fileURLToPath(new URL('../../dist/testing/racer.js', import.meta.url));
const run = promisify(execFile);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-quality-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('variants are kept beside each other, and replaced by name', async () => {
  expect(await readQuality(folder)).toBeUndefined();
  await writeQuality(folder, 'int8', measured(0.001), 'fp32');
  await writeQuality(folder, 'int4', measured(0.005), 'fp32');
  await writeQuality(folder, 'int8', measured(0.002), 'fp32');
  const variants = { int8: measured(0.002), int4: measured(0.005) };
  expect(await readQuality(folder)).toEqual({ original: 'fp32', variants });
  expect(readdirSync(folder)).toEqual(['quality.json']);
});

test('what was measured against another variant is not mixed in', async () => {
  await writeQuality(folder, 'int8', measured(0.001), 'fp32');
  const before = readFileSync(join(folder, 'quality.json'), 'utf8');
  await expect(writeQuality(folder, 'int4', measured(0.001), 'int8')).rejects.toThrow('lose beside fp32, not int8');
  expect(readFileSync(join(folder, 'quality.json'), 'utf8')).toBe(before);
});

test('whether it can be written is known before, and leaves nothing behind', async () => {
  await probeQuality(folder);
  expect(readdirSync(folder)).toEqual([]);
  await expect(probeQuality(join(folder, 'none'))).rejects.toThrow(
    /none\/quality\.json cannot be written \(ENOENT\): make the folder writable, or measure in a copy of it$/,
  );
});

test('what is not a whole measurement is not written, and nothing is left of the attempt', async () => {
  await expect(writeQuality(folder, 'int8', { ...measured(0.001), speeds: [] }, 'fp32')).rejects.toThrow();
  expect(readdirSync(folder)).toEqual([]);
});

test('a file that cannot be read says so', async () => {
  writeFileSync(join(folder, 'quality.json'), '{"original":');
  await expect(readQuality(folder)).rejects.toThrow(/quality.json is not valid JSON/);
  writeFileSync(join(folder, 'quality.json'), '{"original": "fp32", "variants": {"int8": {}}}');
  await expect(readQuality(folder)).rejects.toThrow(/variants.int8.graph required; delete it, and measure again/);
  writeFileSync(join(folder, 'quality.json'), '{"original": "fp32", "variants": {"int8": {"bytes": 5}}}');
  await expect(readQuality(folder)).rejects.toThrow(
    /variants.int8 was written by an earlier version of Shoal: delete the file, and measure again \(shoal evaluate --keep\)$/,
  );
});

test('of what many processes write at once nothing is lost', async () => {
  const variants = Array.from({ length: 6 }, (_, n) => `layers${n}`);
  await Promise.all(variants.map((variant) => run(process.execPath, [RACER, 'quality', folder, variant, '20'])));
  const found = (await readQuality(folder))!.variants;
  expect(Object.entries(found).map(([name, { loss }]) => [name, loss.mean])).toEqual(
    expect.arrayContaining(variants.map((name) => [name, 0.019])),
  );
  expect(readdirSync(folder)).toEqual(['quality.json']);
});
