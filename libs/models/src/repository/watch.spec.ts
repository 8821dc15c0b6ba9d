import { createHash } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { identityOf } from './graph-identity.js';
import { isSameReading } from './selection.js';
import type { ModelProblem } from './version-folders.js';
import { type RepositoryWatch, restAfter, watchRepository } from './watch.js';

const MODEL = fileURLToPath(new URL('../../../../models/wordnet-topic/1', import.meta.url));

/** `fill`: what is put there before, which gives back the folder that is watched. */
async function open(fill = (root: string) => root) {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-watch-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const root = fill(folder);
  const problems: ModelProblem[] = [];
  const troubles: Error[] = [];
  const clock = { ms: 0 };
  const watch = await watchRepository(root, {
    onProblem: (problem) => void problems.push(problem),
    onTrouble: (error) => void troubles.push(error),
    now: () => clock.ms,
  });
  onTestFinished(() => watch.stop());
  return { root, watch, problems, troubles, clock };
}

const idsOf = ({ current }: RepositoryWatch) => current.models.map(({ name, version }) => `${name}@${version}`);
/** As `start` looks, without its clock. */
const look = (watch: RepositoryWatch) => (watch as unknown as { look(): Promise<void> }).look();
/** Of sentence-transformers: its modules say how to pool, its prompts what to put before texts. */
const EMBED = fileURLToPath(new URL('../../../../models/wordnet-embed/1', import.meta.url));
/** Those of a folder of Hugging Face: what lists the files of it is left out. */
const NAMES = ['onnx', 'config.json', 'tokenizer.json', 'tokenizer_config.json'];

test('what has changed is read when a second look finds it the same, and what has gone goes then', async () => {
  const { root, watch } = await open();
  mkdirSync(join(root, 'a'));
  cpSync(MODEL, join(root, 'a/2'), { recursive: true });
  await look(watch);
  expect(idsOf(watch)).toEqual([]);
  await look(watch);
  expect(idsOf(watch)).toEqual(['a@2']);
  const [first] = watch.current.models;
  cpSync(MODEL, join(root, 'a/1'), { recursive: true });
  for (let n = 0; n < 2; n++) await look(watch);
  expect(idsOf(watch)).toEqual(['a@2', 'a@1']);
  expect(watch.current.models[0]).toBe(first);
  rmSync(join(root, 'a/2'), { recursive: true });
  await look(watch);
  expect(idsOf(watch)).toEqual(['a@2', 'a@1']);
  await look(watch);
  expect(idsOf(watch)).toEqual(['a@1']);
});

test('a folder that is still being copied is not read, nor told of', async () => {
  const { root, watch, problems } = await open();
  const folder = join(root, 'a/1');
  cpSync(MODEL, folder, { recursive: true });
  const config = join(folder, 'config.json');
  for (const name of ['.config.json.Xa3f9Q', 'weights.bin.part', 'config.json.tmp']) {
    renameSync(config, join(folder, name));
    for (let n = 0; n < 3; n++) await look(watch);
    expect([idsOf(watch), problems]).toEqual([[], []]);
    renameSync(join(folder, name), config);
  }
  for (let n = 0; n < 4; n++) {
    writeFileSync(join(folder, 'notes'), 'x'.repeat(n));
    await look(watch);
  }
  expect(idsOf(watch)).toEqual([]);
  await look(watch);
  expect(idsOf(watch)).toEqual(['a@1']);
});

test('a folder that lists nothing stands still for 3 s before it is read: files come with pauses between them', async () => {
  const { root, watch, clock } = await open();
  const put = (name: string) => cpSync(join(EMBED, name), join(root, 'a', name), { recursive: true });
  for (const name of NAMES) put(name);
  for (let n = 0; n < 3; n++) await look(watch);
  clock.ms = 2999;
  await look(watch);
  put('1_Pooling');
  put('modules.json');
  await look(watch);
  clock.ms = 5998;
  await look(watch);
  expect(idsOf(watch)).toEqual([]);
  clock.ms = 5999;
  await look(watch);
  expect(watch.current.models).toMatchObject([{ name: 'a', text: { pooling: ['mean'] } }]);
});

test.each([
  ['source.json', [...NAMES, 'source.json', 'shoal.json']],
  ['modules.json', [...NAMES, 'modules.json']],
])('what %s names is waited for, and told of after a while; what is served stays until then', async (by, names) => {
  const { root, watch, clock, problems } = await open();
  const folder = join(root, 'a');
  cpSync(EMBED, folder, { recursive: true });
  for (let n = 0; n < 2; n++) await look(watch);
  const [served] = watch.current.models;
  for (const name of readdirSync(EMBED)) if (!names.includes(name)) rmSync(join(folder, name), { recursive: true });
  for (let n = 0; n < 59; n++) {
    clock.ms += 500;
    await look(watch);
  }
  expect([watch.current.models, problems]).toEqual([[served], []]);
  await look(watch);
  expect(problems).toEqual([
    { folder: 'a', message: expect.stringContaining(`"1_Pooling/config.json" is missing, which ${by} names`) },
  ]);
  cpSync(EMBED, folder, { recursive: true });
  for (let n = 0; n < 2; n++) await look(watch);
  expect([idsOf(watch), watch.current.problems]).toEqual([['a@1'], []]);
});

test('a folder whose variants are not all there is one that lists nothing: one may have been removed', async () => {
  const { root, watch, clock } = await open();
  cpSync(EMBED, join(root, 'a'), { recursive: true });
  const file = join(root, 'a/source.json');
  const source = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, JSON.stringify({ ...source, variants: ['fp32', 'int8'] }));
  for (let n = 0; n < 3; n++) await look(watch);
  expect(idsOf(watch)).toEqual([]);
  clock.ms = 3000;
  await look(watch);
  expect(idsOf(watch)).toEqual(['a@1']);
});

test('a broken folder is told of once and hides no other; once it is mended it is served', async () => {
  const { root, watch, problems } = await open();
  cpSync(MODEL, join(root, 'good'), { recursive: true });
  cpSync(MODEL, join(root, 'bad'), { recursive: true });
  truncateSync(join(root, 'bad/onnx/model.onnx'), 1000);
  for (let n = 0; n < 4; n++) await look(watch);
  expect(idsOf(watch)).toEqual(['good@1']);
  expect(problems).toEqual([{ folder: 'bad', message: expect.stringContaining('model') }]);
  cpSync(MODEL, join(root, 'bad'), { recursive: true });
  for (let n = 0; n < 2; n++) await look(watch);
  expect([idsOf(watch), watch.current.problems]).toEqual([['bad@1', 'good@1'], []]);
});

test('what was measured is read as soon as it is there, changes or goes, and the graphs count as the same', async () => {
  const { root, watch, problems } = await open();
  const folder = join(root, 'a');
  cpSync(MODEL, folder, { recursive: true });
  cpSync(join(MODEL, 'onnx/model.onnx'), join(folder, 'onnx/model_quantized.onnx'));
  const looks = async () => {
    for (let n = 0; n < 2; n++) await look(watch);
    return watch.current.models.map(({ variant, quality }) => `${variant} ${quality?.loss.bound ?? '-'}`);
  };
  expect(await looks()).toEqual(['fp32 -', 'int8 -']);
  const first = watch.current.models;
  const graph = await identityOf(join(folder, 'onnx/model_quantized.onnx'));
  const beside = await identityOf(join(folder, 'onnx/model.onnx'));
  const put = (bound: number, own = graph) => {
    const int8 = {
      ...{ graph: own, beside, verdict: 'passed', method: 'int8' },
      loss: { metric: 'accuracy', mean: 0, bound, allowed: 0.01, texts: 500 },
      speeds: [{ batch: 1, tokens: 16, ratio: 1.4, low: 1.3, high: 1.5 }],
      data: { file: 'eval.jsonl', sha256: 'a'.repeat(64) },
      ...{ machine: 'none', measured: '2026-01-05T09:30:00Z' },
    };
    writeFileSync(join(folder, 'quality.json'), JSON.stringify({ original: 'fp32', variants: { int8 } }));
  };
  put(0.004);
  expect(await looks()).toEqual(['fp32 -', 'int8 0.004']);
  put(0.00875);
  expect(await looks()).toEqual(['fp32 -', 'int8 0.00875']);
  expect(watch.current.models.map((model, n) => isSameReading(model, first[n]!))).toEqual([true, true]);
  put(0.004, { sha256: 'b'.repeat(64), stamp: '' });
  expect(await looks()).toEqual(['fp32 -', 'int8 -']);
  await expect
    .poll(async () => {
      await look(watch);
      return problems;
    })
    .toEqual([
      { folder: 'a', message: expect.stringContaining('variants.int8: its graph was replaced'), served: true },
    ]);
  rmSync(join(folder, 'quality.json'));
  expect(await looks()).toEqual(['fp32 -', 'int8 -']);
  expect(watch.current.problems).toEqual([]);
  // Another graph is another reading, also where what was measured changes with it.
  put(0.004);
  cpSync(join(EMBED, 'config.json'), join(folder, 'notes.json'));
  await looks();
  expect(isSameReading(watch.current.models[0]!, first[0]!)).toBe(false);
});

test('a folder that was copied with what was measured is served at once, and as measured when its graphs are read', async () => {
  const { watch, problems } = await open((root) => {
    const folder = join(root, 'a');
    cpSync(MODEL, folder, { recursive: true, preserveTimestamps: true });
    cpSync(join(MODEL, 'onnx/model.onnx'), join(folder, 'onnx/model_quantized.onnx'), { preserveTimestamps: true });
    const sha256 = createHash('sha256')
      .update(readFileSync(join(MODEL, 'onnx/model.onnx')))
      .digest('hex');
    const elsewhere = { sha256, stamp: 'elsewhere' };
    const int8 = {
      ...{ graph: elsewhere, beside: elsewhere, verdict: 'passed', method: 'int8' },
      loss: { metric: 'accuracy', mean: 0, bound: 0.004, allowed: 0.01, texts: 500 },
      speeds: [{ batch: 1, tokens: 16, ratio: 1.4, low: 1.3, high: 1.5 }],
      data: { file: 'eval.jsonl', sha256: 'a'.repeat(64) },
      ...{ machine: 'none', measured: '2026-01-05T09:30:00Z' },
    };
    writeFileSync(join(folder, 'quality.json'), JSON.stringify({ original: 'fp32', variants: { int8 } }));
    return root;
  });
  const bounds = () => watch.current.models.map(({ quality }) => quality?.loss.bound ?? null);
  expect([bounds(), problems]).toEqual([[null, null], []]);
  const [first] = watch.current.models;
  const told: unknown[] = [];
  watch.start(async () => void told.push(bounds()));
  await expect.poll(() => told).toEqual([[null, 0.004]]);
  expect(isSameReading(watch.current.models[0]!, first!)).toBe(true);
  expect(problems).toEqual([]);
});

test('aliases that can be read no more stay as they were, and that is told', async () => {
  const { root, watch, problems } = await open();
  const file = join(root, 'models.json');
  writeFileSync(file, '{"aliases": {"prod": "a@1"}}');
  for (let n = 0; n < 2; n++) await look(watch);
  writeFileSync(file, '{"aliases": ');
  for (let n = 0; n < 2; n++) await look(watch);
  expect([...watch.current.aliases.keys()]).toEqual(['prod']);
  expect(problems).toEqual(
    [
      'aliases.prod: stands for a@1, which is no model here',
      'models.json is not valid JSON: see line 1, column 13',
    ].map((message) => ({ folder: 'models.json', message })),
  );
  expect(watch.current.problems).toHaveLength(2);
  cpSync(MODEL, join(root, 'a/1'), { recursive: true });
  for (let n = 0; n < 2; n++) await look(watch);
  expect(watch.current.problems).toEqual(problems.slice(1));
  rmSync(file);
  for (let n = 0; n < 2; n++) await look(watch);
  expect([...watch.current.aliases.keys()]).toEqual([]);
});

describe('everything stays as it was', () => {
  const openWithModel = () =>
    open((folder) => {
      cpSync(MODEL, join(folder, 'models/a'), { recursive: true });
      return join(folder, 'models');
    });

  test('while the repository is not there, which is told once', async () => {
    const { root, watch, troubles } = await openWithModel();
    let changes = 0;
    watch.start(async () => void changes++);
    renameSync(root, `${root}-away`);
    await expect.poll(() => troubles.map(({ message }) => message)).toEqual([expect.stringContaining(root)]);
    for (let n = 0; n < 3; n++) await look(watch).catch(() => undefined);
    expect(idsOf(watch)).toEqual(['a@1']);
    renameSync(`${root}-away`, root);
    cpSync(MODEL, join(root, 'b'), { recursive: true });
    await expect.poll(() => idsOf(watch)).toEqual(['a@1', 'b@1']);
    // Away again: that is news.
    renameSync(root, `${root}-away`);
    await expect.poll(() => troubles).toHaveLength(2);
    expect(changes).toBe(1);
  });

  test('while an empty folder has its place, as where a mount is away; with a model in it that is the repository', async () => {
    const { root, watch } = await openWithModel();
    const before = watch.current;
    renameSync(root, `${root}-mounted`);
    mkdirSync(root);
    for (let n = 0; n < 3; n++) await expect(look(watch)).rejects.toThrow(/another folder than before, and empty/);
    expect(watch.current).toBe(before);
    rmSync(root, { recursive: true });
    renameSync(`${root}-mounted`, root);
    for (let n = 0; n < 3; n++) await look(watch);
    expect(watch.current).toBe(before);

    renameSync(root, `${root}-old`);
    cpSync(MODEL, join(root, 'b'), { recursive: true });
    for (let n = 0; n < 2; n++) await look(watch);
    expect(idsOf(watch)).toEqual(['b@1']);
  });
});

test.each([
  [1, 500],
  [100, 1000],
  [600, 2000],
  [7000, 7000],
])('after a look of %d ms the next one comes in %d ms', (took, rest) => {
  expect(restAfter(took)).toBe(rest);
});

test('an emptied folder is empty', async () => {
  const { root, watch } = await open();
  cpSync(MODEL, join(root, 'a'), { recursive: true });
  for (let n = 0; n < 2; n++) await look(watch);
  rmSync(join(root, 'a'), { recursive: true });
  for (let n = 0; n < 2; n++) await look(watch);
  expect(idsOf(watch)).toEqual([]);
});

test('a link is followed to wherever it points, and models are those that lie there', async () => {
  const { root, watch } = await open((folder) => {
    cpSync(MODEL, join(folder, 'first/a'), { recursive: true, preserveTimestamps: true });
    cpSync(MODEL, join(folder, 'second/a'), { recursive: true, preserveTimestamps: true });
    cpSync(MODEL, join(folder, 'second/b'), { recursive: true });
    symlinkSync('first', join(folder, 'models'));
    return join(folder, 'models');
  });
  expect(idsOf(watch)).toEqual(['a@1']);
  symlinkSync('second', `${root}-next`);
  renameSync(`${root}-next`, root);
  rmSync(join(root, '../first'), { recursive: true });
  for (let n = 0; n < 2; n++) await look(watch);
  expect(watch.current.models.map(({ folder }) => folder.split('/').slice(-2).join('/'))).toEqual([
    'second/a',
    'second/b',
  ]);
});

test('a folder that is being copied when the process starts is not read before it is whole', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-watch-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  cpSync(MODEL, join(folder, 'a'), { recursive: true });
  const graph = join(folder, 'a/onnx/model.onnx');
  const bytes = readFileSync(graph);
  truncateSync(graph, 1000);
  const problems: ModelProblem[] = [];
  const onProblem = (problem: ModelProblem) => void problems.push(problem);
  // Before the second look.
  setTimeout(() => writeFileSync(graph, bytes), 100);
  const watch = await watchRepository(folder, { onProblem, onTrouble: () => undefined });
  expect([idsOf(watch), problems]).toEqual([['a@1'], []]);
});

test('who starts is told at once of what has not come for half a minute', async () => {
  const fill = (root: string) => {
    for (const name of ['a', 'b']) cpSync(MODEL, join(root, name), { recursive: true });
    rmSync(join(root, 'a/tokenizer_config.json'));
    writeFileSync(join(root, 'b/more.part'), '');
    vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 31_000);
    onTestFinished(() => void vi.restoreAllMocks());
    return root;
  };
  const { watch, problems } = await open(fill);
  expect(idsOf(watch)).toEqual([]);
  expect(problems).toEqual([
    { folder: 'a', message: expect.stringContaining('"tokenizer_config.json" is missing, which source.json names') },
    { folder: 'b', message: expect.stringContaining('"more.part"') },
  ]);
});

test('what a copy that was given up has left behind is told of, and no more once it is gone', async () => {
  const { root, watch, problems } = await open();
  cpSync(MODEL, join(root, 'a'), { recursive: true });
  writeFileSync(join(root, 'a/onnx/more weights.part'), '');
  for (let n = 0; n < 59; n++) await look(watch);
  expect(problems).toEqual([]);
  for (let n = 0; n < 3; n++) await look(watch);
  expect(problems).toEqual([{ folder: 'a', message: expect.stringContaining('"onnx/more weights.part"') }]);
  rmSync(join(root, 'a/onnx/more weights.part'));
  for (let n = 0; n < 2; n++) await look(watch);
  expect([idsOf(watch), watch.current.problems]).toEqual([['a@1'], []]);
});
