/** quality.json keeps what is known of every variant, and is never there by half. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { VariantQuality } from '@shoal/contracts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bytesOf, readQuality, writeQuality } from './quality-file.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-quality-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function measured(mean: number): VariantQuality {
  return {
    bytes: 7,
    verdict: 'passed',
    method: 'int8',
    machine: 'a machine',
    measured: '2026-01-02T03:04:05.678Z',
    loss: { metric: 'accuracy', mean, bound: mean + 0.01, allowed: 0.02, texts: 500 },
    speeds: [{ batch: 1, tokens: 20, ratio: 1.5, low: 1.4, high: 1.6 }],
    data: { file: 'a.jsonl', sha256: 'ab'.repeat(32) },
  };
}

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

test('what is not a whole measurement is not written, and nothing is left of the attempt', async () => {
  await expect(writeQuality(folder, 'int8', { ...measured(0.001), speeds: [] }, 'fp32')).rejects.toThrow();
  expect(readdirSync(folder)).toEqual([]);
});

test('a file that cannot be read says so', async () => {
  writeFileSync(join(folder, 'quality.json'), '{"original":');
  await expect(readQuality(folder)).rejects.toThrow(/quality.json is not valid JSON/);
  writeFileSync(join(folder, 'quality.json'), '{"original": "fp32", "variants": {"int8": {}}}');
  await expect(readQuality(folder)).rejects.toThrow(/variants.int8.bytes required; delete it, and measure again/);
});

test('bytes are those of the graph and of the weights beside it', async () => {
  writeFileSync(join(folder, 'model.onnx'), 'four');
  expect(await bytesOf(join(folder, 'model.onnx'))).toBe(4);
  writeFileSync(join(folder, 'model.onnx.data'), 'seven..');
  expect(await bytesOf(join(folder, 'model.onnx'))).toBe(11);
});
