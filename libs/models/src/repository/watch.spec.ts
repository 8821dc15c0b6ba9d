import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import type { ModelProblem } from './version-folders.js';
import { type RepositoryWatch, watchRepository } from './watch.js';

const MODEL = fileURLToPath(new URL('../../../../models/wordnet-topic/1', import.meta.url));

async function open() {
  const root = mkdtempSync(join(tmpdir(), 'shoal-watch-'));
  const problems: ModelProblem[] = [];
  const troubles: Error[] = [];
  const watch = await watchRepository(root, {
    onProblem: (problem) => void problems.push(problem),
    onTrouble: (error) => void troubles.push(error),
  });
  onTestFinished(async () => {
    await watch.stop();
    rmSync(root, { recursive: true, force: true });
  });
  return { root, watch, problems, troubles };
}

const idsOf = ({ current }: RepositoryWatch) => current.models.map(({ name, version }) => `${name}@${version}`);
/** As `start` looks, without its clock. */
const look = (watch: RepositoryWatch) => (watch as unknown as { look(steady: number): Promise<void> }).look(2);

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
  expect(problems).toEqual([{ folder: 'models.json', message: 'models.json is not valid JSON' }]);
  rmSync(file);
  for (let n = 0; n < 2; n++) await look(watch);
  expect([...watch.current.aliases.keys()]).toEqual([]);
});

test('a repository that cannot be looked at leaves everything as it was', async () => {
  const { root, watch } = await open();
  cpSync(MODEL, join(root, 'a'), { recursive: true });
  for (let n = 0; n < 2; n++) await look(watch);
  renameSync(root, `${root}-away`);
  onTestFinished(() => rmSync(`${root}-away`, { recursive: true }));
  for (let n = 0; n < 3; n++) await look(watch).catch(() => undefined);
  expect(idsOf(watch)).toEqual(['a@1']);
});
