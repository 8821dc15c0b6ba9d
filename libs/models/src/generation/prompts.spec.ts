import { expect, it } from 'vitest';
import type { TextTokenizer } from '../text/tokenizer.js';
import type { GeneratorDetails } from '../types.js';
import { encodePrompts } from './prompts.js';

it('renders each conversation of a request in a turn of the event loop of its own', async () => {
  let turn = 0;
  let over = false;
  const count = () => {
    turn++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  const turns: number[] = [];
  const tokenizer = {
    plainIds: async (text: string) => {
      turns.push(turn);
      return Uint32Array.of(text.length);
    },
  } as unknown as TextTokenizer;
  const generator = {
    ...{ vocabulary: 100, specialTokens: {} },
    chatTemplate: '{% for message in messages %}{{ message.content }}{% endfor %}',
  } as GeneratorDetails;
  const prompts = Array.from({ length: 40 }, (_, n) => ({
    path: `input[${n}]`,
    value: { messages: [{ role: 'user' as const, content: 'x'.repeat(n + 1) }] },
  }));
  const ids = await encodePrompts(tokenizer, generator, prompts, { maxTokens: 9, truncate: false, takes: '' });
  over = true;
  expect(ids.map(([length]) => length)).toEqual(prompts.map((_, n) => n + 1));
  expect(new Set(turns).size).toBe(40);
});
