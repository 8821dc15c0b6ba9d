import { expect, test } from 'vitest';
import { createModelFace } from '../model-face.js';
import { openRepository } from '../repository/repository.js';
import { BUNDLED_MODELS } from '../testing/model-folder.js';
import { loadTokenizer, MAX_TEXT } from './tokenizer.js';

const { models } = await openRepository(BUNDLED_MODELS);
const topic = models.find(({ name }) => name === 'wordnet-topic')!;

/** No tokens: what is cut has to be looked at whole. */
const LONG = ' '.repeat(MAX_TEXT + 1);

test('texts that are too long for the library are refused by name, cut or not; the longest ones are not', async () => {
  const face = await createModelFace(topic);
  for (const parameters of [{}, { truncate: true }]) {
    await expect(face.encode({ input: ['oak', LONG], parameters })).rejects.toMatchObject({
      code: 'input_too_long',
      faults: [{ path: 'input[1]', message: `has ${MAX_TEXT + 1} characters; no more than ${MAX_TEXT} are tokenised` }],
    });
  }
  expect((await face.encode({ input: LONG.slice(1) })).tokens).toEqual([2]);
});

test('no way to the tokenizer goes round that', async () => {
  const tokenizer = await loadTokenizer(topic, 100);
  const refused = expect.objectContaining({ code: 'input_too_long' });
  await expect(tokenizer.encode(LONG, false)).rejects.toEqual(refused);
  await expect(tokenizer.encode(['oak', LONG], true)).rejects.toEqual(refused);
  await expect(tokenizer.plainIds(LONG)).rejects.toEqual(refused);
});
