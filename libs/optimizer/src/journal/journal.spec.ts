/** A journal loses what was under way when its run was ended, and nothing else. */
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Entry } from './entries.js';
import { Journal } from './journal.js';
import { keyOf } from './keys.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-journal-'));
  path = join(folder, 'a', 'journal.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true }));

const about = (name: string) => ({
  ...{ key: keyOf(name), method: 'int8', variant: name, settings: { dtype: name, bits: 8, signed: true } },
  ...{ seconds: 1.5, at: '2026-01-01T00:00:00.000Z' },
});

const ENTRIES: readonly Entry[] = [
  {
    ...about('made'),
    kind: 'made',
    made: { method: 'int8 – "ümlaut"\n', notes: ['a'] },
    bytes: 9,
    sha256: 'a'.repeat(64),
  },
  {
    ...{ ...about('measured'), kind: 'measured', part: 'choice' },
    comparison: {
      loss: { metric: 'accuracy', mean: -0.001, bound: 0.01, texts: 300 },
      speeds: [{ batch: 1, tokens: 16, ratio: 1.5, low: 1.4, high: 1.6 }],
      figures: { flips: { original: null, candidate: 3 } },
    },
  },
  { ...about('refused'), kind: 'refused', reason: 'it cannot be made' },
  { ...about('failed'), kind: 'failed', reason: 'x is not a function' },
  { ...about('crashed'), kind: 'crashed', reason: 'its process was killed', signal: 'SIGKILL', exitCode: null },
];

function write(entries: readonly Entry[]): void {
  const journal = new Journal(path);
  for (const entry of entries) journal.append(entry);
  journal.close();
}

function open(): { found: readonly (Entry | undefined)[]; journal: Journal } {
  const journal = new Journal(path);
  return { journal, found: ENTRIES.map(({ key }) => journal.find(key)) };
}

test('what was appended is found again, and nothing else', () => {
  write(ENTRIES.slice(0, 3));
  write(ENTRIES.slice(3));
  const { journal, found } = open();
  expect(found).toEqual(ENTRIES);
  expect(journal.find(keyOf('other'))).toBeUndefined();
  expect(journal.unread).toBe(0);
  journal.close();
});

test('ended at any byte, it has the lines that were whole, and goes on behind them', () => {
  write(ENTRIES);
  const whole = readFileSync(path);
  const ends = [...whole.entries()].filter(([, byte]) => byte === 0x0a).map(([at]) => at + 1);
  // Bytes within a line are alike; those at its ends are not. Each opening waits for the disk.
  const near = (bytes: number) => ends.some((end) => Math.abs(end - bytes) <= 2);
  const places = [...Array(whole.length + 1).keys()].filter((bytes) => near(bytes) || bytes % 41 === 0);
  for (const bytes of places) {
    writeFileSync(path, whole.subarray(0, bytes));
    const { journal, found } = open();
    const left = ends.filter((end) => end <= bytes).length;
    expect(found.filter((entry) => entry !== undefined)).toEqual(ENTRIES.slice(0, left));
    expect(journal.unread).toBe(0);
    // In full, whatever was torn.
    if (bytes % 2 === 0) {
      for (const entry of ENTRIES.slice(left)) journal.append(entry);
      expect(readFileSync(path)).toEqual(whole);
    }
    journal.close();
  }
});

test.each([
  ['no JSON', 'nonsense'],
  ['zeros, as a machine that lost power leaves them', '\0'.repeat(100)],
  ['an entry of another version', JSON.stringify({ ...ENTRIES[0], kind: 'dreamt' })],
  ['an entry with a field more', JSON.stringify({ ...ENTRIES[0], colour: 'red' })],
  ['figures that are no numbers', JSON.stringify({ ...ENTRIES[0], bytes: null })],
])('a line of %s is passed over, and those around it are not', (_, line) => {
  write(ENTRIES.slice(0, 2));
  appendFileSync(path, `${line}\n`);
  write(ENTRIES.slice(2));
  const { journal, found } = open();
  expect(found).toEqual(ENTRIES);
  expect(journal.unread).toBe(1);
  journal.close();
});

test('of one key the latest line counts', () => {
  write([ENTRIES[0]!, { ...ENTRIES[0]!, seconds: 7 }]);
  const { journal } = open();
  expect(journal.find(ENTRIES[0]!.key)?.seconds).toBe(7);
  journal.close();
});

test('what could not be read again is not written', () => {
  const journal = new Journal(path);
  const odd = { ...ENTRIES[1]!, comparison: { loss: { mean: Number.NaN }, speeds: [], figures: {} } };
  expect(() => journal.append(odd as unknown as Entry)).toThrow();
  expect(readFileSync(path, 'utf8')).toBe('');
  journal.close();
});

test('a run that goes on when another one has taken over writes to nobody, whatever it was about to do', () => {
  const stopped = new Journal(path);
  stopped.append(ENTRIES[0]!);
  const { journal } = open();
  stopped.append(ENTRIES[1]!);
  journal.append(ENTRIES[2]!);
  stopped.append(ENTRIES[3]!);
  for (const one of [stopped, journal]) one.close();
  const { found, journal: third } = open();
  expect(found.map((entry) => entry !== undefined)).toEqual([true, false, true, false, false]);
  third.close();
  expect(readdirSync(dirname(path))).toEqual(['journal.jsonl']);
});

test('nothing is written where it may not be', () => {
  let may = true;
  const check = () => {
    if (!may) throw new Error('taken over');
  };
  const journal = new Journal(path, check);
  journal.append(ENTRIES[0]!);
  may = false;
  expect(() => journal.append(ENTRIES[1]!)).toThrow('taken over');
  expect(() => new Journal(path, check)).toThrow('taken over');
  journal.close();
  const { found, journal: next } = open();
  expect(found.filter((entry) => entry !== undefined)).toEqual([ENTRIES[0]]);
  next.close();
});

describe('a key', () => {
  test('does not depend on the order of fields, and on everything else', () => {
    const key = keyOf({ method: 'int8', settings: { bits: 8, signed: true }, files: ['a', 'b'] });
    expect(keyOf({ files: ['a', 'b'], settings: { signed: true, bits: 8 }, method: 'int8' })).toBe(key);
    const others = [
      { method: 'int8', settings: { bits: 8, signed: true }, files: ['b', 'a'] },
      { method: 'int8', settings: { bits: 8, signed: false }, files: ['a', 'b'] },
      { method: 'int8', settings: { bits: '8', signed: true }, files: ['a', 'b'] },
      { method: 'int8', settings: { bits: 8, signed: true }, files: ['a', 'b'], versions: '2' },
    ];
    expect(new Set([key, ...others.map(keyOf)]).size).toBe(5);
  });
});
