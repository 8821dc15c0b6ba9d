/** A new variant is there as a whole, beside those that were there, and changes nothing for who does not ask for it. */
import { execFile } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { identityOf, type Model, openModel, openRepository } from '@shoal/models';
import { loadModel, saveModel } from '@shoal/onnx';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { placeVariant } from './place-variant.js';

/** Compiled: another process runs it. */
const DYING = fileURLToPath(new URL('../../dist/testing/dying-placement.js', import.meta.url));
const TOPIC = fileURLToPath(new URL('../../../../models/wordnet-topic', import.meta.url));

let folder: string;
let version: string;
/** One file, and one with its weights beside it. */
let single: string;
let split: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-place-'));
  cpSync(TOPIC, join(folder, 'topic'), { recursive: true });
  version = join(folder, 'topic/1');
  single = join(folder, 'single', 'model_new.onnx');
  split = join(folder, 'split', 'model_new.onnx');
  cpSync(join(TOPIC, '1/onnx'), join(folder, 'single'), { recursive: true });
  cpSync(join(TOPIC, '1/onnx'), join(folder, 'split'), { recursive: true });
  renameSync(join(folder, 'single/model.onnx'), single);
  saveModel(loadModel(join(folder, 'split/model.onnx')), split, { externalData: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = async () => await openModel(join(folder, 'topic'));
const original = async () => (await open())[0]!;
const names = (models: readonly Model[]) => models.map(({ variant }) => variant);
const nothing = async () => {};

test.each(['single', 'split'])('a graph of %s files is a variant, the last that is read', async (kind) => {
  const from = kind === 'single' ? single : split;
  let seen: readonly string[] = [];
  await placeVariant(await original(), 'new', from, async () => {
    seen = names(await open());
  });
  // What was measured of it is written down before it is there.
  expect(seen).toEqual(['fp32']);
  expect(names(await open())).toEqual(['fp32', 'new']);
  expect(readdirSync(join(version, 'onnx')).sort()).toEqual(
    ['model.onnx', 'model_new.onnx', ...(kind === 'split' ? ['model_new.onnx.data'] : [])].sort(),
  );
  expect(existsSync(from)).toBe(true);
});

test('one that replaces another leaves nothing of it', async () => {
  await placeVariant(await original(), 'new', split, nothing);
  await placeVariant(await original(), 'new', single, nothing);
  expect(readdirSync(join(version, 'onnx')).sort()).toEqual(['model.onnx', 'model_new.onnx']);
  renameSync(join(version, 'onnx/model_new.onnx'), join(version, 'onnx/model_quantized.onnx'));
  expect(names(await open())).toEqual(['fp32', 'int8']);
  const renamed = join(folder, 'single/model_int8.onnx');
  copyFileSync(single, renamed);
  await placeVariant(await original(), 'int8', renamed, nothing);
  expect(readdirSync(join(version, 'onnx')).sort()).toEqual(['model.onnx', 'model_int8.onnx']);
});

test('where it fails, what was there is there still', async () => {
  await placeVariant(await original(), 'new', single, nothing);
  const before = readFileSync(join(version, 'onnx/model_new.onnx'));
  const failed = placeVariant(await original(), 'new', single, async () => {
    throw new Error('no room');
  });
  await expect(failed).rejects.toThrow('no room');
  expect(readFileSync(join(version, 'onnx/model_new.onnx')).equals(before)).toBe(true);
  expect(readdirSync(join(version, 'onnx')).sort()).toEqual(['model.onnx', 'model_new.onnx']);
});

test('requests without a variant get what they got, also where the new name comes before all others', async () => {
  rmSync(join(version, 'shoal.json'), { force: true });
  renameSync(join(version, 'onnx/model.onnx'), join(version, 'onnx/model_whole.onnx'));
  expect((await original()).variant).toBe('whole');
  await placeVariant(await original(), 'new', single, nothing);
  expect(names(await open())).toEqual(['whole', 'new']);
});

test('where shoal.json lists the variants, it lists the new one too', async () => {
  const shoal = { variants: { whole: 'onnx/model.onnx' } };
  writeFileSync(join(version, 'shoal.json'), JSON.stringify(shoal));
  await placeVariant(await original(), 'new', single, nothing);
  expect(names(await open())).toEqual(['whole', 'new']);
  expect(JSON.parse(readFileSync(join(version, 'shoal.json'), 'utf8'))).toEqual({
    variants: { ...shoal.variants, new: 'onnx/model_new.onnx' },
    default_variant: 'whole',
  });
});

test('two of one run, where shoal.json lists the variants: both are there, and what a person has written since', async () => {
  const settings = join(version, 'shoal.json');
  const shoal = { task: 'text-classification', variants: { fp32: 'onnx/model.onnx' } };
  writeFileSync(settings, JSON.stringify(shoal));
  // As it was when the run began.
  const model = await original();
  await placeVariant(model, 'new', single, nothing);
  const now = JSON.parse(readFileSync(settings, 'utf8')) as typeof shoal;
  writeFileSync(settings, JSON.stringify({ ...now, description: 'of a person' }));
  const other = join(folder, 'single/model_other.onnx');
  copyFileSync(single, other);
  await placeVariant(model, 'other', other, nothing);
  const models = await open();
  expect(names(models)).toEqual(['fp32', 'new', 'other']);
  expect(models[0]!.shoal.description).toBe('of a person');
});

/** A process that places a graph, whose figures have this mean, and dies before its nth change; resolves to all of them, or null. */
async function place(from: string, mean: number, death = 0): Promise<number | null> {
  const args = [DYING, join(folder, 'topic'), from, String(mean), String(death)];
  const ended = promisify(execFile)(process.execPath, args);
  return await ended.then(
    ({ stdout }) => Number(stdout),
    (error: { readonly signal?: string }) => {
      expect(error.signal).toBe('SIGKILL');
      return null;
    },
  );
}

test.each<[string, string, () => readonly [string, string]]>([
  ['one file', 'one of two files', () => [single, split]],
  ['two files', 'one of one file', () => [split, single]],
  ['one file', 'another of one file', () => [single, other()]],
])(
  'ended by SIGKILL at any step, a graph of %s that makes way for %s is never there with the figures of the other',
  async (_, __, graphs) => {
    const [before, after] = graphs();
    const [old, young] = [await identityOf(before), await identityOf(after)];
    expect(await place(before, 0.1)).toBeGreaterThan(4);
    const [start, seen] = [join(folder, 'start'), new Set<string>()];
    cpSync(join(folder, 'topic'), start, { recursive: true, preserveTimestamps: true });
    for (let death = 1; ; death++) {
      rmSync(join(folder, 'topic'), { recursive: true });
      cpSync(start, join(folder, 'topic'), { recursive: true, preserveTimestamps: true });
      const changes = await place(after, 0.2, death);
      const { models, problems } = await openRepository(folder);
      const own = models.filter(({ name }) => name === 'topic');
      expect(own[0]!.variant).toBe('fp32');
      const model = own.find(({ variant }) => variant === 'new');
      if (model === undefined) {
        seen.add('none');
      } else {
        const { sha256 } = await identityOf(model.variants.new!);
        const { quality } = model;
        seen.add(`${sha256 === old.sha256 ? 'old' : 'new'} ${quality === null ? 'unmeasured' : 'measured'}`);
        expect([old.sha256, young.sha256]).toContain(sha256);
        if (quality !== null) expect(quality.loss.mean).toBe(sha256 === old.sha256 ? 0.1 : 0.2);
        if (quality === null) expect(problems.map(({ message }) => message).join()).toContain('its graph was replaced');
      }
      if (changes !== null) break;
      expect(death).toBeLessThan(50);
    }
    // A new graph always has its figures: what was kept by force says so from the beginning.
    expect(seen).toContain('old measured');
    expect(seen).toContain('new measured');
    expect(seen).not.toContain('new unmeasured');
    // And what a process has left that was ended is in nobody's way.
    await place(before, 0.1, 4);
    expect(await place(after, 0.3)).not.toBeNull();
    expect((await open()).map(({ variant }) => variant)).toEqual(['fp32', 'new']);
    expect(readdirSync(version).filter((name) => name.startsWith('quality.'))).toEqual(['quality.json']);
  },
);

/** The same model with another producer. */
function other(): string {
  const path = join(folder, 'other', 'model_new.onnx');
  cpSync(join(folder, 'single'), join(folder, 'other'), { recursive: true });
  saveModel({ ...loadModel(single), producer: 'another' }, path);
  return path;
}
