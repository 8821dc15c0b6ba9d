import type { Savings, TextPiece } from '@shoal/contracts';
import { addToAnswers, type StreamDecoder } from '@shoal/models';
import { expect, it } from 'vitest';
import { Answer } from './answer.js';
import { settingsOf } from './generation-request.js';
import { TextReader } from './text-reader.js';

/** Tokens are code units. */
const UNITS: StreamDecoder = {
  decode: async (lists) => lists.map((ids) => String.fromCharCode(...ids)),
  isSkipped: () => false,
  isByte: () => false,
};
const SETTINGS = { stop: [], min_tokens: 0, skip_special_tokens: true, include_stop_str_in_output: false };

function open(): Answer {
  const parameters = SETTINGS as unknown as ReturnType<typeof settingsOf>;
  return new Answer(new TextReader(() => UNITS).open(parameters), null);
}

/** Tokens that came here, after `savings` was told, as a piece of the log. */
async function grow(answer: Answer, text: string, savings?: Savings): Promise<TextPiece | null> {
  if (savings) answer.save(savings);
  const tokens = [...text].map((unit) => ({ id: unit.charCodeAt(0), logprob: Number.NaN }));
  answer.add(tokens.map((token) => ({ ...token, topIds: new Uint32Array(0), topValues: new Float32Array(0) })));
  const { text: unread, ids } = answer.unread;
  const [read] = await addToAnswers(UNITS, [{ answer: unread, ids }]);
  answer.show(read!);
  return answer.takePiece();
}

const outputOf = (answer: Answer) => answer.output({ reason: 'stop', stop: null }, [], null);

it('has of its prompt what was spared where it was begun, and of its prediction what was spared in all places', async () => {
  const first = open();
  const begun = { cachedTokens: 64, accepted: 0, rejected: 0 };
  const pieces = [
    await grow(first, 'ab', begun),
    await grow(first, 'c'),
    await grow(first, 'd', { ...begun, accepted: 3, rejected: 1 }),
  ];
  // Only what is new is said again.
  expect(pieces.map((piece) => piece!.savings?.accepted)).toEqual([0, undefined, 3]);
  const second = open();
  second.restore(pieces as TextPiece[]);
  // Where it goes on, its own row may be there.
  expect((await grow(second, 'ef', { cachedTokens: 99, accepted: 2, rejected: 5 }))?.savings).toEqual({
    ...{ cachedTokens: 64, accepted: 5, rejected: 6 },
  });
  expect(outputOf(second)).toMatchObject({ cachedTokens: 64, accepted: 5, rejected: 6 });
  const third = open();
  third.restore(pieces.slice(0, 1) as TextPiece[]);
  expect(outputOf(third)).toMatchObject({ cachedTokens: 64, accepted: 0, rejected: 0 });
});
