import {
  cpSync,
  mkdirSync,
  mkdtempSync,
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
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ModelProblem } from './version-folders.js';
import { type RepositoryWatch, watchRepository } from './watch.js';

const MODEL = fileURLToPath(new URL('../../../../models/wordnet-topic/1', import.meta.url));

/** `fill`: what is put there before, which gives back the folder that is watched. */
async function open(fill = (root: string) => root) {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-watch-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const root = fill(folder);
  const problems: ModelProblem[] = [];
  const troubles: Error[] = [];
  const watch = await watchRepository(root, {
    onProblem: (problem) => void problems.push(problem),
    onTrouble: (error) => void troubles.push(error),
  });
  onTestFinished(() => watch.stop());
  return { root, watch, problems, troubles };
}

const idsOf = ({ current }: RepositoryWatch) => current.models.map(({ name, version }) => `${name}@${version}`);
/** As `start` looks, without its clock. */
const look = (watch: RepositoryWatch) =>
  (watch as unknown as { look(steady: () => number): Promise<void> }).look(() => 2);

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
