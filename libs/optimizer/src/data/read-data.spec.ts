/** A user's file becomes examples in three parts that have no text in common, or one line that says what is wrong. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Data, Example } from '../types.js';
import { normalised, PARTS } from './parts.js';
import { readData } from './read-data.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-data-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const lines = (count: number, make: (n: number) => object) =>
  Array.from({ length: count }, (_, n) => JSON.stringify(make(n))).join('\n');
const readLines = (count: number, make: (n: number) => object) => readData(write('a.jsonl', lines(count, make)));
const all = ({ calibration, choice, verdict }: Data) => [calibration, choice, verdict].flatMap(({ items }) => items);

test('texts are split by what they say, in shares of 30, 20 and 50 %, whatever the order and the company', () => {
  const data = readLines(2000, (n) => ({ text: `text ${n}`, label: n % 2 ? 'odd' : 'even' }));
  for (const part of ['calibration', 'choice', 'verdict'] as const) {
    expect(Math.abs(data[part].items.length / 2000 - PARTS[part])).toBeLessThan(0.04);
    expect(data[part]).toMatchObject({ kind: 'text', labelled: true });
  }
  const half = readLines(1000, (n) => ({ text: `text ${1999 - 2 * n}` }));
  const verdict = new Set(data.verdict.items.map((item) => item.kind === 'text' && item.text));
  expect(half.verdict.items.length).toBeGreaterThan(400);
  for (const item of half.verdict.items) expect(verdict).toContain(item.kind === 'text' && item.text);
  expect(half.verdict.labelled).toBe(false);
});

test('a text that is there again counts once, whatever its case and white space', () => {
  const data = readLines(300, (n) => ({ text: [`Text  ${n >> 1}`, ` text ${n >> 1}\n`][n % 2] }));
  expect(all(data)).toHaveLength(150);
  expect(normalised(' Ａb\n\tC ')).toBe('ab c');
});

test('pairs that share a text are in one part', () => {
  // Chains of three: a query of two documents, one of which has another query.
  const data = readLines(600, (n) => {
    const [chain, place] = [Math.floor(n / 3), n % 3];
    return { query: `query ${chain} ${place >> 1}`, document: `document ${chain} ${(place + 1) >> 1}` };
  });
  const partOf = new Map<string, unknown>();
  for (const part of [data.calibration, data.choice, data.verdict]) {
    for (const item of part.items as readonly Extract<Example, { kind: 'pair' }>[]) {
      for (const text of [item.query, item.document]) {
        expect(partOf.get(text) ?? part).toBe(part);
        partOf.set(text, part);
      }
    }
  }
  expect(all(data)).toHaveLength(600);
});

test('rows of graded documents are rankings by query, and lists of them are the same', () => {
  const rows = readLines(300, (n) => ({ query: `q${Math.floor(n / 3)}`, document: `d${n}`, grade: n % 3 }));
  const lists = readLines(100, (n) => ({
    query: `q${n}`,
    documents: [0, 1, 2].map((grade) => ({ text: `d${3 * n + grade}`, grade })),
  }));
  expect(rows.verdict.items).toEqual(lists.verdict.items);
  expect(rows.verdict.kind).toBe('ranking');
});

test('CSV has the same flat names, other columns are left out, and quotes may hold lines', () => {
  const row = (n: number) => `${n},"text, ${n}\nand more",${n % 2 ? 'odd' : 'even'}\r\n`;
  const csv = `\ufeffid,text,label\r\n${Array.from({ length: 100 }, (_, n) => row(n)).join('')}`;
  const data = readData(write('a.CSV', csv));
  expect(all(data)).toHaveLength(100);
  expect(data.verdict.items[0]).toMatchObject({ kind: 'text', text: expect.stringMatching(/^text, \d+\nand more$/) });
  expect(data.sha256).toBe(createHash('sha256').update(csv).digest('hex'));
  const graded = Array.from({ length: 200 }, (_, n) => `q${n >> 1},d${n},${n % 2}.5`).join('\n');
  expect(readData(write('b.csv', `query,document,grade\n${graded}`)).verdict.items[0]).toMatchObject({
    documents: [{ grade: 0.5 }, { grade: 1.5 }],
  });
});

test('entities have their places', () => {
  const data = readLines(100, (n) => ({ text: `Ada ${n}`, entities: [{ start: 0, end: 3, label: 'PER' }] }));
  expect(data.choice.items[0]).toMatchObject({ kind: 'entities', entities: [{ start: 0, end: 3, label: 'PER' }] });
});

describe('is refused in one line that names the file and the line, and shows no text', () => {
  const good = lines(100, (n) => ({ text: `canary ${n}` }));
  const labelled = lines(100, (n) => ({ text: `canary ${n}`, label: `class ${n % 3}` }));
  const pairs = lines(100, (n) => ({ query: 'canary', document: `document ${n}` }));
  test.each<[what: string, name: string, text: string | Buffer, message: string]>([
    ['empty', 'a.jsonl', '', 'a.jsonl is empty: give every line {"text"}'],
    ['blank', 'a.jsonl', '\n \n', 'a.jsonl is empty'],
    ['empty CSV', 'a.csv', '', 'a.csv is empty'],
    ['a header alone', 'a.csv', 'text,label\n', 'a.csv has a header and no rows'],
    [
      'other columns',
      'a.csv',
      'sentence,class\ncanary,a\n',
      'a.csv: the header has sentence, class; it takes text, or text,label',
    ],
    [
      'no header',
      'a.csv',
      'a canary,a\na canary,b\n',
      'a.csv: the first line is no header; it takes text, or text,label',
    ],
    [
      'semicolons',
      'a.csv',
      'text;label\ncanary;a\n',
      'a.csv: its columns are separated by semicolons: save it with commas',
    ],
    ['quotes and semicolons', 'a.csv', '"text";"label"\n"canary";"a"\n', 'its columns are separated by semicolons'],
    ['tabs', 'a.csv', 'text\tlabel\ncanary\ta\n', 'its columns are separated by tabs'],
    ['a quote too many', 'a.csv', 'text,label\n"a "canary"",a\n', 'line 2 is not valid CSV: a quote within a value'],
    ['no JSON', 'a.jsonl', `${good}\n{"text": canary}`, 'a.jsonl: line 101 is not valid JSON'],
    ['no object', 'a.jsonl', `${good}\n\n"canary"`, 'a.jsonl: line 102 must be an object'],
    ['no UTF-8', 'a.jsonl', Buffer.from([0xff, 0xfe, 0x00]), 'a.jsonl is not UTF-8 text'],
    ['no CSV', 'a.csv', 'text,label\ncanary,a\ncanary,a,b\n', 'line 3 is not valid CSV: it has more or fewer values'],
    ['an unknown form', 'a.jsonl', '{"txt": "canary"}', 'a.jsonl: line 1 has none of the forms that are known'],
    [
      'two forms',
      'a.jsonl',
      `${good}\n{"query": "canary", "document": "b"}`,
      'line 101 is of another form than line 1',
    ],
    ['a number for a text', 'a.jsonl', `${good}\n{"text": 7}`, 'a.jsonl: line 101: text must be a string'],
    ['an empty text', 'a.jsonl', `${good}\n{"text": " "}`, 'a.jsonl: line 101: text must not be empty'],
    ['labels here and there', 'a.jsonl', `${labelled}\n{"text": "canary"}`, 'line 101 has no label, unlike line 1'],
    ['one label', 'a.jsonl', labelled.replaceAll(/class \d/g, 'class'), 'every line has the same label'],
    ['texts all alike', 'a.jsonl', good.replaceAll(/canary \d+/g, 'canary'), 'all 100 lines have the same text'],
    ['few texts', 'a.jsonl', lines(20, (n) => ({ text: `canary ${n}` })), '20 different texts make parts of'],
    ['pairs that hang together', 'a.jsonl', pairs, 'pairs that share a text stay together'],
    [
      'a grade below 0',
      'a.jsonl',
      '{"query": "canary", "document": "b", "grade": -1}',
      'grade must be a number from 0',
    ],
    [
      'one grade',
      'a.jsonl',
      '{"query": "canary", "documents": [{"text": "a", "grade": 1}, {"text": "b", "grade": 1}]}',
      'the query of line 1 has documents of one grade',
    ],
    ['one document', 'a.jsonl', '{"query": "canary", "document": "b", "grade": 1}', 'line 1 has one document'],
    [
      'an entity behind the end',
      'a.jsonl',
      '{"text": "canary", "entities": [{"start": 1, "end": 9, "label": "X"}]}',
      'line 1: has an entity behind its end',
    ],
  ])('%s', (_what, name, text, message) => {
    const refused = messageOf(() => readData(write(name, text)));
    expect(refused).toContain(message);
    expect(refused).not.toContain('canary');
    expect(refused).not.toContain('\n');
  });

  test('labels that the model does not have, and those that may have been meant', () => {
    const path = write('a.jsonl', labelled);
    const classes = { task: 'text-classification', labels: ['class 0', 'class 1', 'class 22'] } as const;
    expect(messageOf(() => readData(path, classes))).toBe(
      'a.jsonl: line 3: the model has no label "class 2"; did you mean class 0 or class 1 or class 22?',
    );
    expect(readData(path, { task: 'text-classification', labels: ['class 0', 'class 1', 'class 2'] })).toBeDefined();
    const entities = lines(100, (n) => ({ text: `Ada ${n}`, entities: [{ start: 0, end: 3, label: 'PER' }] }));
    const tags = { task: 'token-classification', labels: ['O', 'B-PER', 'I-PER'] } as const;
    expect(readData(write('b.jsonl', entities), tags)).toBeDefined();
    expect(messageOf(() => readData(write('b.jsonl', entities.replaceAll('PER', 'LOC')), tags))).toContain('"LOC"');
  });

  test('files that are not there, are none, or too large', () => {
    expect(messageOf(() => readData(join(folder, 'none.jsonl')))).toMatch(/^there is no file /);
    expect(messageOf(() => readData(folder))).toMatch(/is not a regular file$/);
    const huge = write('huge.jsonl', '');
    truncateSync(huge, 2 ** 28 + 1);
    expect(messageOf(() => readData(huge))).toBe('huge.jsonl is larger than 256 MiB: take a sample of it');
    const blank = write('many.jsonl', Buffer.alloc(1_000_001, '\n'));
    expect(messageOf(() => readData(blank))).toBe('many.jsonl has more than 1,000,000 lines: take a sample of them');
  });
});

function messageOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof ShoalError && error.code === 'invalid_request') return error.message;
    throw error;
  }
  throw new Error('it was read');
}
