import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ModelFolders, modelFolders, onnx } from '../testing/model-folder.js';
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

const measured = (more: object = {}) => ({
  ...{ bytes: GRAPH.length, verdict: 'passed', method: 'int8', machine: '2 cores', measured: '2026-01-05T09:30:00Z' },
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
  [{ original: 'fp64', variants: { int8: measured() } }, 'quality.json: original: there is no variant fp64'],
])('a file that cannot be used is told with its field, and hides no model: %j', async (quality, message) => {
  const { names, bounds, problems } = await read(quality);
  expect(names).toEqual(['fp32', 'constructor', 'int8']);
  expect(bounds).toEqual(NONE);
  expect(problems).toMatchObject([{ folder: 'm/1', message: expect.stringContaining(message), served: true }]);
});

test('what was measured of another graph, or of a variant that is not there, is told and not used; the rest is', async () => {
  const variants = { int8: measured({ bytes: 7 }), constructor: measured(), gone: measured() };
  const { bounds, problems } = await read({ original: 'fp32', variants });
  expect(bounds).toEqual({ ...NONE, constructor: 0.004 });
  expect(problems.map(({ message }) => message)).toEqual([
    `quality.json: variants.int8: was measured of a graph of 7 bytes, and this one has ${GRAPH.length}: measure it again (shoal evaluate)`,
    'quality.json: variants.gone: there is no such variant',
  ]);
});

test('weights beside the graph count as well', async () => {
  const files = { ...FILES, 'model_int8.onnx.data': 'x'.repeat(100) };
  const variants = { int8: measured({ bytes: GRAPH.length + 100 }) };
  const { bounds, problems } = await read({ original: 'fp32', variants }, files);
  expect([bounds.int8, problems]).toEqual([0.004, []]);
});
