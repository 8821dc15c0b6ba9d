import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { expect, onTestFinished, test } from 'vitest';
import type { Model } from '../types.js';
import { oddAliases, readAliases } from './aliases.js';

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
  ['{"aliases": {"prod": a}}', 'models.json is not valid JSON: see line 1, column 22'],
  ['{"alias": {}}', 'models.json: unknown field alias'],
  ['{"aliases": {"Prod": "a"}}', /^models.json: aliases.Prod: its name is not valid: use lower-case letters/],
  ['{"aliases": {"prod": "a@0"}}', 'models.json: aliases.prod: write name, name@2, name:int8 or name@2:int8'],
  ['{"aliases": {"prod": "../a"}}', 'models.json: aliases.prod: write name, name@2, name:int8 or name@2:int8'],
  ['{"aliases": {"prod": ["a"]}}', /^models.json: aliases.prod: must be a model, such as "topic@2", or shares/],
  ['{"aliases": {"prod": {"a@1": "95"}}}', 'models.json: aliases.prod.a@1: its share must be a number, such as 95'],
  [
    '{"aliases": {"prod": {"a@1": -1, "a": 2}}}',
    'models.json: aliases.prod.a@1: its share must be a number of 0 or more',
  ],
  ['{"aliases": {"prod": {"a@1": 0}}}', 'models.json: aliases.prod: has no share above 0'],
  ['{"aliases": {"prod": {"A@1": 1}}}', /^models.json: aliases.prod.A@1: its name is not valid: write name/],
])('%s is refused, and the place is named', async (text, message) => {
  await expect(read(text)).rejects.toThrow(
    typeof message === 'string' ? new ShoalError('model_invalid', message) : message,
  );
});

test('names that lead nowhere, to another such name, or to models of several tasks are odd', async () => {
  const models = [
    { name: 'a', version: '1', variant: 'fp32', task: 'rerank' },
    { name: 'b', version: '2', variant: 'fp32', task: 'tensors' },
  ] as Model[];
  const aliases = { fine: { a: 1, 'a@1:fp32': 1 }, b: 'b@2', lost: 'b@1', twice: 'fine', mixed: { a: 1, b: 1 } };
  expect(oddAliases(await read(JSON.stringify({ aliases })), models)).toEqual([
    'aliases.lost: stands for b@1, which is no model here',
    'aliases.twice: stands for fine, which is such a name itself: name a model',
    'aliases.mixed: stands for models of several tasks: rerank, tensors',
  ]);
});
