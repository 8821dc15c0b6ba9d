import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readAliases } from './aliases.js';

const read = (text: string) => {
  const root = mkdtempSync(join(tmpdir(), 'shoal-aliases-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  writeFileSync(join(root, 'models.json'), text);
  return readAliases(root);
};

test('an alias stands for one model, or for several by shares; shares of 0 are none', async () => {
  const aliases = await read('{"aliases": {"prod": "a@2", "try": {"a@1": 95, "a@2:int8": 5, "a@3": 0}}}');
  expect([...aliases]).toEqual([
    ['prod', [{ target: 'a@2', weight: 1 }]],
    ['try', [['a@1', 95] as const, ['a@2:int8', 5] as const].map(([target, weight]) => ({ target, weight }))],
  ]);
});

test.each([
  ['{', /models.json is not valid JSON/],
  ['{"alias": {}}', /models.json: unknown field alias/],
  ['{"aliases": {"Prod": "a"}}', /models.json: aliases/],
  ['{"aliases": {"prod": "a@0"}}', /models.json: aliases.prod/],
  ['{"aliases": {"prod": {"a@1": 0}}}', /models.json: aliases.prod/],
  ['{"aliases": {"prod": {"a@1": -1, "a@2": 2}}}', /models.json: aliases.prod/],
  ['{"aliases": {"prod": "../a"}}', /models.json: aliases.prod/],
])('%s is refused, and the place is named', async (text, message) => {
  await expect(read(text)).rejects.toThrow(message);
});
