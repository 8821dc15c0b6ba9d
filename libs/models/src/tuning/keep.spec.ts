/** What was tuned is found again for the same graph on the same kind of machine, and for nothing else. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import type { Model } from '../types.js';
import { keepTuning, readTuning } from './keep.js';
import { type Machine, machineOf } from './machine.js';

const GRAPH = fileURLToPath(new URL('../../../../models/wordnet-topic/1/onnx/model.onnx', import.meta.url));
const OTHER = fileURLToPath(new URL('../../../../models/wordnet-embed/1/onnx/model.onnx', import.meta.url));
const MACHINE: Machine = { processor: 'x64 a b c', cores: 2, runtime: 'c-api 1.0.0' };
const FOUND = {
  settings: { threads: 2, spinning: true, maxBatchTokens: 512 },
  ratio: { median: 0.8, low: 0.75, high: 0.9 },
  machine: '2 cores of a',
  measured: '2026-01-02T03:04:05.000Z',
};

let root: string;
let cacheDir: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'shoal-tuning-'));
  cacheDir = join(root, 'cache');
});
afterEach(() => rmSync(root, { recursive: true }));

const modelOf = (path: string) =>
  ({ name: 'm', version: '1', variant: 'fp32', variants: { fp32: path } }) as unknown as Model;
const model = modelOf(GRAPH);
const read = (of = model, machine = MACHINE) => readTuning(of, { cacheDir, machine });
const keep = () => keepTuning(model, FOUND, { cacheDir, machine: MACHINE });

test('what is kept is read again, also by another name of the same graph; the latest counts', async () => {
  expect(await read()).toEqual({ tuning: null, note: null });
  const file = await keep();
  expect(await read()).toMatchObject({ tuning: { ...FOUND, model: 'm/1/fp32' }, note: null });
  const copy = join(root, 'copy.onnx');
  cpSync(GRAPH, copy);
  expect((await read({ ...modelOf(copy), name: 'n' })).tuning?.settings).toEqual(FOUND.settings);
  expect(await keepTuning(model, { ...FOUND, settings: {}, ratio: null }, { cacheDir, machine: MACHINE })).toBe(file);
  expect((await read()).tuning?.settings).toEqual({});
  expect(readdirSync(cacheDir)).toHaveLength(1);
});

describe('is of no use', () => {
  beforeEach(keep);

  it.each<[string, Partial<Machine>]>([
    ['another processor', { processor: 'x64 a b' }],
    ['another share of it', { cores: 4 }],
    ['another runtime', { runtime: 'c-api 1.0.1' }],
    ['another way to call it', { runtime: 'worker-thread 1.0.0' }],
  ])('on %s', async (_, change) => {
    expect(await read(model, { ...MACHINE, ...change })).toEqual({ tuning: null, note: null });
  });

  it('for another graph', async () => {
    expect(await read(modelOf(OTHER))).toEqual({ tuning: null, note: null });
  });
});

describe('a file that is not whole or of something else is left alone, and told of', () => {
  it.each<[string, (text: string) => string, string]>([
    ['torn', (text) => text.slice(0, 100), 'is not valid JSON'],
    ['empty', () => '', 'is not valid JSON'],
    ['of a later format', (text) => text.replace('"format": 1', '"format": 2'), 'is not what "shoal tune" keeps'],
    [
      'with a setting of nonsense',
      (text) => text.replace('"threads": 2', '"threads": -2'),
      'is not what "shoal tune" keeps',
    ],
    ['with a setting too many', (text) => text.replace('"threads"', '"thread"'), 'is not what "shoal tune" keeps'],
    ['something else', () => '[1]', 'is not what "shoal tune" keeps'],
    ['huge', (text) => text + ' '.repeat(70_000), 'has more than 64 KiB'],
    ['copied', (text) => text.replace(/"key": "tuning-..../, '"key": "tuning-0000'), 'is of another model or machine'],
  ])('%s', async (_, change, reason) => {
    const file = await keep();
    writeFileSync(file, change(readFileSync(file, 'utf8')));
    const { tuning, note } = await read();
    expect(tuning).toBeNull();
    expect(note).toContain(`${file} ${reason}`);
    expect(note?.split('\n')).toHaveLength(1);
  });

  it('a folder of its name', async () => {
    const file = await keep();
    rmSync(file);
    mkdirSync(file);
    expect(await read()).toEqual({ tuning: null, note: `${file} cannot be read (EISDIR), and is left alone` });
  });
});

test('a machine is told by its processor, the cores that this process may use, and the runtime', async () => {
  const machine = await machineOf({ kind: 'c-api', version: '1.2.3' });
  expect(machine.runtime).toBe('c-api 1.2.3');
  expect(machine.cores).toBeGreaterThan(0);
  expect(machine.processor).toContain(process.arch);
});
