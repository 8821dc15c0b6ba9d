import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importFolder } from '@shoal/importer';
import { type FoundJoining, findJoining, openRepository } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { COUPLED, INDEPENDENT, rowGraph, textGraph } from '../support/row-graphs.js';

let runtime: Runtime;
let root: string;
beforeAll(async () => {
  runtime = await openRuntime();
});
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'shoal-joining-'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** The verdict on the one model of `files`. */
async function verdict(files: Readonly<Record<string, string | Uint8Array>>, cacheDir?: string): Promise<FoundJoining> {
  await mkdir(join(root, 'models/m'), { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(root, 'models/m', name), content);
  const { models, problems } = await openRepository(join(root, 'models'));
  expect(problems).toEqual([]);
  const [model] = models;
  const session = await runtime.createSession(model!.variants.fp32!);
  try {
    return await findJoining(model!, session, {
      ...(cacheDir && { cacheDir }),
      runtimeVersion: runtime.version,
      device: 'cpu',
      deviceOptions: {},
      now: () => performance.now(),
    });
  } finally {
    await session.release();
  }
}

test.each(Object.keys(COUPLED))('rows are run alone by a graph that gives %s', async (name) => {
  const { joining } = await verdict({ 'model.onnx': rowGraph(COUPLED[name]!) });
  expect(joining).toEqual({ rows: 'alone', reason: expect.any(String) });
});

/** Known without a pass: the second dimension has the name of the first, or an operator says it by its own name. */
const KNOWN = ['columns as rows', 'one range for all in 8 bits'];

test.each(Object.keys(COUPLED).filter((name) => !KNOWN.includes(name)))(
  'running made-up rows tells that a graph gives %s',
  async (name) => {
    const { joining, passes } = await verdict({ 'model.onnx': rowGraph(COUPLED[name]!, { hidden: true }) });
    expect(joining.rows).toBe('alone');
    expect(passes).toBeGreaterThan(0);
  },
);

test.each(Object.keys(INDEPENDENT))('rows of one shape are joined for %s', async (name) => {
  const { joining } = await verdict({ 'model.onnx': rowGraph(INDEPENDENT[name]!) });
  expect(joining).toEqual({ rows: 'same-shape', reason: null });
});

const TEXT_FILES = {
  'tokenizer.json': JSON.stringify({ added_tokens: [] }),
  'config.json': JSON.stringify({ architectures: ['BertForSequenceClassification'], vocab_size: 50 }),
};

test.each([
  ['any-length', 'masked', null],
  ['same-shape', 'unmasked', expect.stringContaining('padding matters')],
  ['alone', 'coupled', expect.any(String)],
] as const)('texts are joined %s by a graph that is %s', async (rows, kind, reason) => {
  const { joining } = await verdict({ ...TEXT_FILES, 'model.onnx': textGraph(kind) });
  expect(joining).toEqual({ rows, reason });
});

test('shoal.json can forbid joining, and cannot demand it', async () => {
  const graph = rowGraph(INDEPENDENT['layer normalisation']!);
  const forbidden = await verdict({ 'model.onnx': graph, 'shoal.json': '{"joining": false}' });
  expect(forbidden).toEqual({ joining: { rows: 'alone', reason: 'shoal.json forbids it' }, passes: 0 });
  writeFileSync(join(root, 'models/m/shoal.json'), '{"joining": true}');
  const { problems } = await openRepository(join(root, 'models'));
  expect(problems[0]!.message).toContain('shoal.json: joining:');
});

test('a verdict is kept for its graph, weights included, and for nothing else', async () => {
  const cache = join(root, 'cache');
  const files = { ...TEXT_FILES, 'model.onnx': textGraph('masked') };
  const first = await verdict(files, cache);
  expect(first.passes).toBeGreaterThan(50);
  expect(await verdict(files, cache)).toEqual({ joining: first.joining, passes: 0 });
  const other = await verdict({ ...files, 'model.onnx': textGraph('masked', 2) }, cache);
  expect(other.passes).toBeGreaterThan(50);
  const [kept] = readdirSync(cache);
  writeFileSync(join(cache, kept!), '{"rows": "any-le');
  const both = [await verdict(files, cache), await verdict({ ...files, 'model.onnx': textGraph('masked', 2) }, cache)];
  expect(both.filter(({ passes }) => passes > 0)).toHaveLength(1);
});

test.each(['noise', 'batch normalisation in training'])('%s is told by running one row twice', async (name) => {
  const { joining } = await verdict({ 'model.onnx': rowGraph(COUPLED[name]!, { hidden: true }) });
  expect(joining.reason).toContain('another one each time');
});

test('a worker finds what an import has proved', async () => {
  const [source, cacheDir] = [join(root, 'source'), join(root, 'cache')];
  await mkdir(source);
  writeFileSync(join(source, 'model.onnx'), rowGraph(INDEPENDENT['layer normalisation']!));
  const said: string[] = [];
  const request = { folder: source, name: 'm', version: 1, dtypes: [], to: join(root, 'models'), force: false };
  const { signal } = new AbortController();
  await importFolder(request, { runtime, cacheDir, say: (line) => said.push(line), signal });
  expect(said).toContain('    jobs of different callers share its passes where their inputs have the same shape');
  expect(await verdict({}, cacheDir)).toEqual({ joining: { rows: 'same-shape', reason: null }, passes: 0 });
});

test('a graph that tells nothing of its rows keeps them apart', async () => {
  const constant: (typeof INDEPENDENT)[string] = { build: (g, x) => ({ value: g.op('Mul', [x, g.scalar(0)]) }) };
  const { joining } = await verdict({ 'model.onnx': rowGraph(constant) });
  expect(joining).toEqual({ rows: 'alone', reason: expect.stringContaining('cannot tell') });
});
