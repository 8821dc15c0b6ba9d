import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { GenerationSettings, JobRecord, PromptItem } from '@shoal/contracts';
import { CHAT, COMPLETION, type TextFace } from '@shoal/intake';
import type { JobPart, JobPiece, JobProgress } from '@shoal/queue';
import { describe, expect, test } from 'vitest';
import { fakeAnswer, fakeGenerator } from '../testing/fake-generator.js';
import { type TextEvent, textEvents } from '../testing/text-events.js';
import { readTextPosition, type TextPosition } from './text-position.js';
import { TextStream } from './text-stream.js';

const SETTINGS = {
  ...{ n: 2, max_tokens: 64, stop: [], stop_token_ids: [], logprobs: null, echo: false },
} as unknown as GenerationSettings;
const { tokens: texts } = fakeGenerator('chat');
const receipt = {} as JobPart['result']['receipt'];

function recordOf(changes: Partial<JobRecord> = {}): JobRecord {
  const meta = { model: 'chat', version: '1', variant: 'fp32', array: true, parameters: SETTINGS };
  return { id: 'chat.1.fp32.0.x', meta, createdAt: 0, tokens: 10, total: 2, error: null, ...changes } as JobRecord;
}

const ANSWERS = [0, 1].map((choice) => fakeAnswer({ choice } as PromptItem, SETTINGS));
/** The second answer is whole first; of each, the last pieces were never written. */
const PIECES: JobPiece[] = [0, 1, 1, 0, 1, 1, 0].map((index, n, all) => {
  const before = all.slice(0, n).filter((each) => each === index).length;
  return { seq: n + 1, index, piece: ANSWERS[index]!.pieces[before]! };
});
const PARTS: JobPart[] = [1, 0].map((index, n) => ({
  seq: n + 1,
  index,
  result: { receipt, output: ANSWERS[index]!.whole },
}));
const END = { record: recordOf(), parts: [], pieces: [], more: false, last: true };

const look = (pieces: JobPiece[], parts: JobPart[] = []): JobProgress => ({
  ...END,
  pieces,
  parts,
  more: true,
  last: false,
});
/** A look at each piece, then the answers in the order in which they ended. */
const ONE_BY_ONE = [
  ...PIECES.slice(0, 6).map((piece) => look([piece])),
  look([], PARTS.slice(0, 1)),
  look(PIECES.slice(6)),
  look([], PARTS.slice(1)),
  END,
];
const AT_ONCE = [{ ...END, pieces: PIECES, parts: PARTS }];
const PARTS_FIRST = [look([], PARTS.slice(0, 1)), look(PIECES.slice(0, 2)), look(PIECES.slice(2), PARTS.slice(1)), END];

function streamOf(face: TextFace, position: TextPosition | null): TextStream {
  return new TextStream({ face, record: recordOf(), texts, usage: true, resumable: true, position });
}

function read(face: TextFace, looks: readonly JobProgress[], lastEventId?: string): TextEvent[] {
  const stream = streamOf(face, readTextPosition(lastEventId));
  return textEvents(looks.flatMap((each) => [...stream.next(each)]).join(''));
}

/** What a reader makes of the events: each answer's text, and how it ended. */
function made(events: readonly TextEvent[]): { text: string; ends: string[]; roles: number }[] {
  const answers = ANSWERS.map(() => ({ text: '', ends: [] as string[], roles: 0 }));
  for (const { data } of events) {
    if (data === '[DONE]') continue;
    for (const { index, delta = {}, text, finish_reason } of JSON.parse(data).choices) {
      const answer = answers[index]!;
      answer.text += delta.content ?? text ?? '';
      answer.roles += delta.role ? 1 : 0;
      if (finish_reason) answer.ends.push(finish_reason);
    }
  }
  return answers;
}

describe.each([
  ['chat', CHAT, 1],
  ['completions', COMPLETION, 0],
])('a stream of %s', (_, face, roles) => {
  const whole = ANSWERS.map((answer) => ({ text: answer.whole.text, ends: ['stop'], roles }));

  test.each([
    ['one by one', ONE_BY_ONE],
    ['all at once', AT_ONCE],
    ['answers before pieces of theirs', PARTS_FIRST],
  ])('tells every answer once, whole, from looks at %s', (_name, looks) => {
    expect(made(read(face, looks))).toEqual(whole);
  });

  test('goes on at any event, and at a replica that saw everything in another order', () => {
    let cuts = 0;
    for (const first of [ONE_BY_ONE, AT_ONCE, PARTS_FIRST]) {
      const events = read(face, first);
      for (const [n, { id }] of events.entries()) {
        if (id === undefined) continue;
        for (const then of [ONE_BY_ONE, AT_ONCE, PARTS_FIRST]) {
          const rest = read(face, then, id);
          expect(made([...events.slice(0, n + 1), ...rest]), id).toEqual(whole);
          expect(rest.at(-2)?.data).toContain('"completion_tokens":18');
          cuts += 1;
        }
      }
    }
    expect(cuts).toBeGreaterThan(60);
  });
});

test('a job that is no array ends with all of its answers', () => {
  const meta = { ...recordOf().meta, array: false };
  const results = ANSWERS.map(({ whole }) => ({ receipt, output: whole }));
  const events = read(CHAT, [look(PIECES.slice(0, 3)), { ...END, record: recordOf({ meta, results }) }]);
  expect(made(events).map(({ text }) => text)).toEqual(ANSWERS.map(({ whole }) => whole.text));
});

test('nothing is held back for a position that nobody was given', () => {
  const [told] = made(read(CHAT, [{ ...look(PIECES.slice(0, 1)), more: false }], '0.9'));
  expect(told?.text).toBe(' Fish');
});

test('events are made when they are asked for', () => {
  const stream = streamOf(CHAT, null);
  const events = stream.next({ ...END, pieces: PIECES, parts: PARTS });
  expect(events.next().value).toContain(' Fish');
  expect(events.next().value).toContain(' Whales');
});

test('an answer that was told is not kept for what comes after it', async () => {
  const stream = streamOf(CHAT, null);
  const tell = () => {
    const output = { ...ANSWERS[1]!.whole };
    const [event] = [...stream.next(look([], [{ ...PARTS[0]!, result: { receipt, output } }]))];
    expect(event).toContain(' Whales');
    return new WeakRef(output);
  };
  const told = tell();
  // What a turn of the event loop has looked at is not collected within it.
  await new Promise(setImmediate);
  setFlagsFromString('--expose_gc');
  runInNewContext('gc')();
  expect(told.deref()).toBeUndefined();
  expect([...stream.next({ ...END, parts: PARTS.slice(1) })].join('')).toContain('"completion_tokens":18');
});

test('what a prompt had in the cache is what none of its answers had to compute', () => {
  const cached = [2, 0].map((cachedTokens, n) => ({
    ...PARTS[n]!,
    result: { receipt, output: { ...ANSWERS[PARTS[n]!.index]!.whole, cachedTokens } },
  }));
  const [last] = read(CHAT, [{ ...END, parts: cached }]).slice(-2);
  expect(JSON.parse(last!.data).usage).toMatchObject({
    completion_tokens: 18,
    prompt_tokens_details: { cached_tokens: 0 },
  });
});

test('a job that ends without its answers tells an error, not an end', () => {
  const [error] = read(CHAT, [END]);
  expect(error?.data).toContain('internal_error');
});

test.each(['1', '1.2.3', 'queued', '-1.0', '1.2x'])('%s is no id of an event', (id) => {
  expect(() => readTextPosition(id)).toThrow('Last-Event-ID');
});
