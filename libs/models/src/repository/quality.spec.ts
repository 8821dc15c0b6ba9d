/** Figures are of the graphs that were measured, wherever these lie by now. */
import { createHash } from 'node:crypto';
import { cpSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ModelFolders, modelFolders, onnx } from '../testing/model-folder.js';
import { GraphIdentities, identityOf, stampOf } from './graph-identity.js';
import { openRepository } from './repository.js';

let folders: ModelFolders;
beforeEach(() => {
  folders = modelFolders();
});
afterEach(() => folders.remove());

const GRAPH = onnx(
  [{ name: 'x', type: 'float32', shape: ['batch', 4] }],
  [{ name: 'y', type: 'float32', shape: ['batch', 2] }],
);
const FILES = { 'model.onnx': GRAPH, 'model_int8.onnx': GRAPH, 'model_constructor.onnx': GRAPH };

/** As of another folder, or another machine. */
const COPIED = { sha256: createHash('sha256').update(GRAPH).digest('hex'), stamp: '0 0 0' };
const OTHER = { sha256: 'b'.repeat(64), stamp: '0 0 0' };

const measured = (more: object = {}) => ({
  ...{ graph: COPIED, beside: COPIED, verdict: 'passed', method: 'int8' },
  ...{ machine: '2 cores', measured: '2026-01-05T09:30:00Z' },
  loss: { metric: 'accuracy', mean: 0.001, bound: 0.004, allowed: 0.01, texts: 500 },
  speeds: [{ batch: 1, tokens: 16, ratio: 1.4, low: 1.3, high: 1.5 }],
  data: { file: 'eval.jsonl', sha256: 'a'.repeat(64) },
  ...more,
});

/** The variants of a version that has this `quality.json`, by what was measured of them, and what is told. */
async function read(quality: unknown, files: Readonly<Record<string, unknown>> = FILES) {
  folders.write('m/1', { ...files, ...(quality !== undefined && { 'quality.json': quality }) });
  const { models, problems } = await openRepository(folders.root);
  return {
    names: models.map(({ variant }) => variant),
    originals: new Set(models.map(({ original }) => original)),
    bounds: Object.fromEntries(models.map(({ variant, quality: own }) => [variant, own?.loss.bound ?? null])),
    problems,
  };
}

const NONE = { fp32: null, int8: null, constructor: null };

test('variants have what was measured of them; without it they have nothing, and the first counts as the original', async () => {
  expect(await read(undefined)).toMatchObject({ originals: new Set(['fp32']), bounds: NONE, problems: [] });
  const variants = { int8: measured(), fp32: measured() };
  expect(await read({ original: 'fp32', variants })).toMatchObject({
    originals: new Set(['fp32']),
    // The original loses nothing beside itself.
    bounds: { ...NONE, int8: 0.004 },
    problems: [],
  });
  expect(await read({ original: 'int8', variants })).toMatchObject({
    originals: new Set(['int8']),
    bounds: { ...NONE, fp32: 0.004 },
  });
});

test.each([
  ['{', 'quality.json is not valid JSON: see line 1, column 2'],
  [{ variants: {} }, 'quality.json: original: required'],
  [
    { original: 'fp32', variants: { int8: measured({ loss: { metric: 'accuracy', mean: 'x' } }) } },
    'quality.json: variants.int8.loss.mean: must be a number; variants.int8.loss.bound: required',
  ],
  [
    { original: 'fp32', variants: { int8: measured({ speeds: [] }) } },
    'quality.json: variants.int8.speeds: must not be empty',
  ],
  [{ original: 'fp32', variants: { int8: measured({ more: 1 }) } }, 'quality.json: variants.int8: unknown field more'],
  [
    { original: 'fp32', variants: { int8: { ...measured(), graph: undefined, beside: undefined, bytes: 5 } } },
    'quality.json: variants.int8: was written by an earlier version of Shoal: delete the file, and measure again',
  ],
  [{ original: 'fp64', variants: { int8: measured() } }, 'quality.json: original: there is no variant fp64'],
])('a file that cannot be used is told with its field, and hides no model: %j', async (quality, message) => {
  const { names, bounds, problems } = await read(quality);
  expect(names).toEqual(['fp32', 'constructor', 'int8']);
  expect(bounds).toEqual(NONE);
  expect(problems).toMatchObject([{ folder: 'm/1', message: expect.stringContaining(message), served: true }]);
});

test('what was measured of another graph, or of a variant that is not there, is told and not used; the rest is', async () => {
  const variants = { int8: measured({ graph: OTHER }), constructor: measured(), gone: measured() };
  const { bounds, problems } = await read({ original: 'fp32', variants });
  expect(bounds).toEqual({ ...NONE, constructor: 0.004 });
  expect(problems.map(({ message }) => message)).toEqual([
    'quality.json: variants.int8: its graph was replaced after it was measured: measure again (shoal evaluate --keep)',
    'quality.json: variants.gone: there is no such variant',
  ]);
});

test('what was measured beside another original is told in one line', async () => {
  const variants = { int8: measured({ beside: OTHER }), constructor: measured({ beside: OTHER }) };
  const { bounds, problems } = await read({ original: 'fp32', variants });
  expect(bounds).toEqual(NONE);
  expect(problems.map(({ message }) => message)).toEqual([
    'quality.json: original: fp32 was replaced after int8, constructor had been measured beside it: measure again (shoal evaluate --keep)',
  ]);
});

test('weights beside the graph count as well', async () => {
  const external = onnx(
    [{ name: 'x', type: 'float32', shape: ['batch', 4] }],
    [{ name: 'y', type: 'float32', shape: ['batch', 2] }],
    'weights.bin',
  );
  const sha256 = createHash('sha256').update(external).update('w').digest('hex');
  const variants = { int8: measured({ graph: { sha256, stamp: '' } }) };
  const files = { ...FILES, 'model_int8.onnx': external };
  const { bounds, problems } = await read({ original: 'fp32', variants }, { ...files, 'weights.bin': 'w' });
  expect([bounds.int8, problems]).toEqual([0.004, []]);
  expect((await read({ original: 'fp32', variants }, { ...files, 'weights.bin': 'v' })).bounds.int8).toBeNull();
});

test('a graph is read once for as long as it stays as it is, not at all where it lies as it was measured, and in full where not', async () => {
  const folder = folders.write('m/1', FILES);
  const path = join(folder, 'model.onnx');
  const known = await identityOf(path);
  const identities = new GraphIdentities();
  const lying = { ...known, sha256: 'c'.repeat(64) };
  // By size, time and inode alone: what the hash says is not looked at.
  expect(await identities.compare(path, lying)).toEqual(lying);
  const moved = join(folder, 'moved.onnx');
  renameSync(path, moved);
  expect(await identities.compare(moved, lying)).toEqual(lying);
  const copy = join(folder, 'copy.onnx');
  cpSync(moved, copy, { preserveTimestamps: true });
  expect(await identities.compare(copy, lying)).toBe('other');
  expect(await identities.compare(copy, known)).toEqual(await identityOf(copy));
  // Other bytes of the same size and time are another graph all the same, once they lie elsewhere; read anew, since they do.
  const { atime, mtime, size } = statSync(copy);
  const other = join(folder, 'other.onnx');
  writeFileSync(
    other,
    Uint8Array.from(GRAPH, (byte, n) => (n === size - 1 ? byte ^ 1 : byte)),
  );
  utimesSync(other, atime, mtime);
  renameSync(other, copy);
  expect(await identities.compare(copy, known)).toBe('other');
});

test('what was measured elsewhere has the stamp that the graph has here: nobody has to read it again', async () => {
  const folder = folders.write('m/1', {
    ...FILES,
    'quality.json': { original: 'fp32', variants: { int8: measured() } },
  });
  const { models } = await openRepository(folders.root);
  expect(models.find(({ variant }) => variant === 'int8')!.quality).toMatchObject({
    graph: await identityOf(join(folder, 'model_int8.onnx')),
    beside: await identityOf(join(folder, 'model.onnx')),
  });
});

test('a graph that cannot be read counts as no other one, and is read again when it is asked for next', async () => {
  const folder = folders.write('m/1', FILES);
  const path = join(folder, 'later.onnx');
  const identities = new GraphIdentities();
  expect(await identities.compare(path, COPIED)).toEqual({ fault: expect.stringContaining('later.onnx') });
  cpSync(join(folder, 'model.onnx'), path);
  expect(await identities.compare(path, COPIED)).toEqual(await identityOf(path));
});

test('where nobody shall wait, who asks is told so until it is read; what fails then is told, and tried again', async () => {
  const folder = folders.write('m/1', FILES);
  const path = join(folder, 'model.onnx');
  const behind = new AbortController();
  const identities = new GraphIdentities(behind.signal);
  expect(await identities.compare(path, COPIED)).toEqual({ fault: null });
  await expect.poll(() => identities.compare(path, COPIED)).toEqual(await identityOf(path));
  const copy = join(folder, 'copy.onnx');
  cpSync(path, copy);
  behind.abort(new Error('stopped'));
  expect(await identities.compare(copy, COPIED)).toEqual({ fault: null });
  await expect.poll(() => identities.compare(copy, COPIED)).toEqual({ fault: 'stopped' });
});

test('a stamp is short however many files have the weights, and another one when one of them is', async () => {
  const folder = folders.write('m/1', FILES);
  const files = Array.from({ length: 200 }, (_, n) => join(folder, `weights-${n}`));
  for (const file of files) writeFileSync(file, 'w');
  const stamp = await stampOf(files);
  expect(stamp).toMatch(/^200 files [0-9a-f]{64}$/);
  expect(await stampOf(files)).toBe(stamp);
  utimesSync(files[150]!, 1, 1);
  expect(await stampOf(files)).not.toBe(stamp);
});
