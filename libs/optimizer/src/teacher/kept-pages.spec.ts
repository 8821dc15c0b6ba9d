/** Answers on the disk: there as they were, or not there. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WireOutput } from '@shoal/contracts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { outputsOfRows, rowsOfOutputs } from './answer-rows.js';
import { cleanPages, KeptPages } from './kept-pages.js';

const KEY = 'a'.repeat(64);
const ITEM = { kind: 'text', ids: new Uint32Array(), text: 'Ada met Bob' } as const;
const VECTORS: readonly WireOutput[] = [
  { kind: 'vector', values: Float32Array.of(0.1, -2, 3e-39), dims: [3] },
  { kind: 'vector', values: Float32Array.of(1, 2, 3), dims: [3] },
];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-answers-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test.each<[string, readonly WireOutput[]]>([
  ['vectors', VECTORS],
  [
    'vectors of tokens, of which texts have one, several or none',
    [
      { kind: 'vector', values: Float32Array.of(1, 2), dims: [1, 2] },
      { kind: 'vector', values: Float32Array.of(1, 2, 3, 4, 5, 6), dims: [3, 2] },
      { kind: 'vector', values: new Float32Array(), dims: [0, 2] },
    ],
  ],
  [
    'scores of pairs',
    [
      { kind: 'score', score: Math.fround(0.7) },
      { kind: 'score', score: -12 },
    ],
  ],
  [
    'scores of classes',
    [
      { kind: 'scores', indices: Uint32Array.of(0, 1, 2), scores: Float32Array.of(0.2, 0.7, 0.1) },
      { kind: 'scores', indices: Uint32Array.of(0, 1, 2), scores: Float32Array.of(1, 0, 0) },
    ],
  ],
  [
    'entities',
    [
      {
        kind: 'entities',
        entities: [
          { label: 2, score: Math.fround(0.9), start: 0, end: 3, word: 'Ada' },
          { label: 2, score: Math.fround(0.7), start: 8, end: 11, word: 'Bob' },
        ],
      },
      { kind: 'entities', entities: [] },
    ],
  ],
])('%s are read as they were written, to the bit', (_, outputs) => {
  expect(new KeptPages(folder).write(KEY, rowsOfOutputs(outputs))).toBe(true);
  const rows = new KeptPages(folder).read(KEY, outputs.length);
  expect(
    outputsOfRows(
      rows!,
      outputs.map(() => ITEM),
    ),
  ).toEqual(outputs);
});

test('scores of classes that come best first are kept by class', () => {
  const best = { kind: 'scores', indices: Uint32Array.of(2, 0, 1), scores: Float32Array.of(0.7, 0.2, 0.1) } as const;
  expect(rowsOfOutputs([best]).values).toEqual(Float32Array.of(0.2, 0.1, 0.7));
});

test('what is no page of one kind is not kept', () => {
  expect(() => rowsOfOutputs([VECTORS[0]!, { kind: 'score', score: 1 }])).toThrow('score of 1 beside vector of 3');
  expect(() => rowsOfOutputs([{ kind: 'tensors', tensors: {} }])).toThrow('answered with tensors');
});

test('a file that is damaged anywhere, cut or of other questions counts as not there, and is replaced', () => {
  const pages = new KeptPages(folder);
  pages.write(KEY, rowsOfOutputs(VECTORS));
  const path = join(folder, readdirSync(folder)[0]!);
  const whole = readFileSync(path);
  const damaged = Array.from(whole, (byte, n) => {
    const copy = Buffer.from(whole);
    copy[n] = byte ^ 4;
    return copy;
  });
  for (const bytes of [...damaged, whole.subarray(0, -1), whole.subarray(0, 10), Buffer.alloc(0)]) {
    writeFileSync(path, bytes);
    expect(pages.read(KEY, 2)).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
  }
  writeFileSync(path, whole);
  expect(pages.read(KEY, 3)).toBeUndefined();
  expect(pages.write(KEY, rowsOfOutputs(VECTORS))).toBe(true);
  expect(outputsOfRows(pages.read(KEY, 2)!, [ITEM, ITEM])).toEqual(VECTORS);
});

test('no more is kept than there is room for, what was there before counted in', () => {
  const rows = rowsOfOutputs(VECTORS);
  new KeptPages(folder).write(KEY, rows);
  const { size } = statSync(join(folder, readdirSync(folder)[0]!));
  const pages = new KeptPages(folder, 2 * size);
  expect(pages.write('b'.repeat(64), rows)).toBe(true);
  expect(pages.write('c'.repeat(64), rows)).toBe(false);
  expect(readdirSync(folder)).toHaveLength(2);
});

test('a full disk is told, and nothing half-written is left', () => {
  symlinkSync('/dev/full', join(folder, `${KEY}.answers.${process.pid}.part`));
  expect(() => new KeptPages(folder).write(KEY, rowsOfOutputs(VECTORS))).toThrow(
    expect.objectContaining({ code: 'ENOSPC', syscall: 'write' }),
  );
  expect(readdirSync(folder)).toEqual([]);
});

test('answers of other runs, and what writing was ended at, are removed', () => {
  const pages = new KeptPages(join(folder, 'own'));
  pages.write(KEY, rowsOfOutputs(VECTORS));
  writeFileSync(join(folder, 'own', `${KEY}.answers.4711.part`), 'half');
  new KeptPages(join(folder, 'another')).write(KEY, rowsOfOutputs(VECTORS));
  expect(pages.read(KEY, 2)).toBeDefined();
  cleanPages(folder, 'own');
  expect(readdirSync(folder)).toEqual(['own']);
  expect(readdirSync(join(folder, 'own'))).toEqual([`${KEY}.answers`]);
  cleanPages(join(folder, 'none'), 'own');
});
