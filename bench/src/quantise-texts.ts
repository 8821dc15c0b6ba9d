/** Texts of all kinds for what is quantised: words, definitions, prose, code, other languages, numbers, very short and long ones. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Data, Example } from '@shoal/optimizer';
import { ROOT } from './root.js';

/** Of each source; as many as there are of some. */
const EACH = 240;

const ODD = [
  ...[
    '?',
    '!!',
    'ok',
    'a',
    '42',
    '3.14159',
    '2026-03-01T12:00:00Z',
    'http://localhost:8080/v1/jobs?limit=10',
    '😀 😢',
    'ÄÖÜ',
  ],
  ...[
    'Der Hund schläft unter dem Tisch.',
    'Wie spät ist es?',
    'La vie est belle, mais le temps passe.',
    '¿Dónde está la biblioteca?',
  ],
  ...[
    '猫はどこですか',
    '今天天气很好',
    'Привет, как дела?',
    'مرحبا بالعالم',
    'Buongiorno a tutti, benvenuti.',
    'Zażółć gęślą jaźń',
  ],
  ...[
    '{"id": 7, "tags": ["a", "b"], "ok": true}',
    'SELECT name FROM users WHERE age > 30;',
    'rm -rf build && make -j4',
    '<p>Hello</p>',
  ],
  ...[
    'HELLO WORLD',
    'the the the the the the',
    'x = (a + b) * c / d',
    'E = mc^2',
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    '100 % of 20,000 €',
  ],
];

function linesOf(path: string): string[] {
  return readFileSync(join(ROOT, path), 'utf8').split('\n');
}

function spreadOver(texts: readonly string[], most = EACH): readonly string[] {
  const step = Math.max(1, Math.floor(texts.length / most));
  return texts.filter((_, n) => n % step === 0).slice(0, most);
}

/** Paragraphs of the documentation, one to four of them together. */
function prose(): readonly string[] {
  const files = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));
  const paragraphs = files.flatMap((name) =>
    readFileSync(join(ROOT, 'docs', name), 'utf8')
      .split(/\n\s*\n/)
      .map((text) => text.replaceAll('\n', ' ').trim())
      .filter((text) => text.length > 40 && !text.startsWith('|')),
  );
  return groupsOf(paragraphs, 4).map((group) => group.join(' '));
}

function code(): readonly string[] {
  const folder = join(ROOT, 'libs/models/src');
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  const lines = files.flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'));
  return groupsOf(lines, 10)
    .map((group) => group.join('\n'))
    .filter((text) => text.trim().length > 8);
}

/** One, two, ... up to `most` neighbours together, and again: none is in two groups. */
function groupsOf<T>(items: readonly T[], most: number): readonly (readonly T[])[] {
  const groups: (readonly T[])[] = [];
  for (let at = 0, size = 1; at < items.length; at += size, size = (groups.length % most) + 1) {
    groups.push(items.slice(at, at + size));
  }
  return groups;
}

export function textsOfAllKinds(): readonly string[] {
  const pairs = linesOf('test/fixtures/wordnet-embed/eval.jsonl')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { query: string; document: string });
  return [
    ...spreadOver(pairs.map(({ query }) => query)),
    ...spreadOver(pairs.map(({ document }) => document)),
    ...spreadOver(prose()),
    ...spreadOver(code()),
    ...ODD,
  ];
}

/** Every third text for each part: none is in two of them. */
export function inThreeParts(texts: readonly string[], file: string): Data {
  const items = [...new Set(texts)].map((text): Example => ({ kind: 'text', text }));
  const part = (n: number) =>
    ({ kind: 'text', items: items.filter((_, at) => at % 3 === n), labelled: false }) as const;
  return { file, sha256: '0'.repeat(64), calibration: part(0), choice: part(1), verdict: part(2) };
}
