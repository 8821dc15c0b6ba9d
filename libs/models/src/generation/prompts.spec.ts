import { expect, it, onTestFinished } from 'vitest';
import type { TextTokenizer } from '../text/tokenizer.js';
import type { GeneratorDetails } from '../types.js';
import { encodePrompts, tryTemplate } from './prompts.js';

const LOOP = '{% for i in range(1000) %}'.repeat(6) + '{% endfor %}'.repeat(6);

const generatorOf = (chatTemplate: string | null) =>
  ({ vocabulary: 100, specialTokens: {}, chatTemplate }) as GeneratorDetails;

it('renders the conversations of a request in their order, while the event loop goes on', async () => {
  const tokenizer = { plainIds: async (text: string) => Uint32Array.of(text.length) } as unknown as TextTokenizer;
  let turns = 0;
  const counting = setImmediate(function count() {
    turns++;
    next = setImmediate(count);
  });
  let next = counting;
  onTestFinished(() => clearImmediate(next));
  const prompts = Array.from({ length: 40 }, (_, n) => ({
    path: `input[${n}]`,
    value: { messages: [{ role: 'user' as const, content: 'x'.repeat(n + 1) }] },
  }));
  const generator = generatorOf('{% for message in messages %}{{ message.content }}{% endfor %}');
  const ids = await encodePrompts(tokenizer, generator, prompts, { maxTokens: 9, truncate: false, takes: '' });
  expect(ids.map(([length]) => length)).toEqual(prompts.map((_, n) => n + 1));
  expect(turns).toBeGreaterThan(1);
});

it('finds templates that do not end', async () => {
  await expect(tryTemplate(generatorOf(LOOP))).rejects.toMatchObject({ code: 'model_invalid' });
  await tryTemplate(generatorOf('{{ raise_exception("not alone") }}'));
  await tryTemplate(generatorOf(null));
});
