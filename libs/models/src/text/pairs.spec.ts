import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openRepository } from '../repository/repository.js';
import { type ModelFolders, modelFolders, onnx, TEXT_INPUTS } from '../testing/model-folder.js';
import type { Model } from '../types.js';
import { loadTokenizer } from './tokenizer.js';

const MAX_TOKENS = 16;
const TEXTS = [
  '',
  'a',
  'one two three',
  "it's one, isn't it?",
  'many small fish '.repeat(3),
  'x'.repeat(40),
  '日本語 ☃',
];

let folders: ModelFolders;
beforeAll(() => {
  folders = modelFolders();
});
afterAll(() => folders.remove());

async function open(fixture: string, side: 'left' | 'right'): Promise<Model> {
  const name = `${fixture}-${side}`;
  folders.copyFixture(fixture, name);
  folders.write(name, {
    'tokenizer_config.json': { truncation_side: side },
    'model.onnx': onnx(TEXT_INPUTS, [{ name: 'logits', type: 'float32', shape: ['batch', 1] }]),
    'config.json': { architectures: ['BertForSequenceClassification'], vocab_size: 288, max_position_embeddings: 100 },
  });
  const { models, problems } = await openRepository(join(folders.root));
  expect(problems).toEqual([]);
  return models.find((model) => model.name === name)!;
}

test.each([
  ['bert-tokens', 'right'],
  ['bert-tokens', 'left'],
  ['roberta-rerank', 'right'],
  ['roberta-rerank', 'left'],
] as const)('rows put together are those of the tokenizer, whole and cut to length: %s, %s', async (fixture, side) => {
  const tokenizer = await loadTokenizer(await open(fixture, side), MAX_TOKENS);
  const template = (await tokenizer.pairTemplate())!;
  for (const first of TEXTS) {
    for (const second of TEXTS) {
      const [query, document] = [await tokenizer.plainIds(first), await tokenizer.plainIds(second)];
      for (const truncate of [false, true]) {
        const expected = await tokenizer.encode([first, second], truncate);
        const row = template.join(query, document, truncate ? MAX_TOKENS : null, side);
        const about = `${first} | ${second} | ${truncate}`;
        expect([...row.ids], about).toEqual(expected.getIds());
        expect([...(row.typeIds ?? new Uint8Array(row.ids.length))], about).toEqual(expected.getTypeIds());
      }
    }
  }
});
