import type { Finish, GenerationListener, NewToken } from '@shoal/generation';
import type { StreamDecoder } from '@shoal/models';
import { type ClaimedItem, Dropped, type Finished } from '@shoal/queue';
import { expect, it } from 'vitest';
import { GeneratorEngine, type GeneratorEngineOptions } from './generator-engine.js';
import { TextReader } from './text-reader.js';

/** Tokens are code units. */
const UNITS: StreamDecoder = {
  decode: async (lists) => lists.map((ids) => String.fromCharCode(...ids)),
  isSkipped: () => false,
  isByte: () => false,
};
const LENGTH: Finish = { reason: 'length', stop: null };

const tokensOf = (text: string): NewToken[] =>
  [...text].map((unit) => ({
    ...{ id: unit.charCodeAt(0), logprob: Number.NaN },
    ...{ topIds: new Uint32Array(0), topValues: new Float32Array(0) },
  }));

const ITEM = {
  ...{ jobId: 'm.1.int8.0.1', tenant: 'default', rank: 2, ulid: '1', slice: 0, n: 0, length: 1 },
  ...{ lock: { id: 'c', token: 't', tag: 0 }, dropped: new Dropped(), task: 'text-generation' },
  item: { kind: 'prompt', ids: Uint32Array.of(1), choice: 0 },
  parameters: {
    ...{ max_tokens: 9, min_tokens: 0, stop: [], stop_token_ids: [], ignore_eos: true, echo: false, logprobs: null },
    ...{ skip_special_tokens: true, include_stop_str_in_output: false, logit_bias: [] },
  },
  ...{ strikes: 0, attempts: 0, written: 0, queuedMs: 0 },
} as unknown as ClaimedItem;

/** A worker of `rows`, in which `start` plays the engine. `tell`: what is counted, as `<name> <tokens>`. */
function openEngine(
  start: (told: GenerationListener) => void,
  publisher: Partial<GeneratorEngineOptions['publisher']>,
  { reader = new TextReader(() => UNITS), rows = 1, tell = (_what: string) => {} } = {},
): GeneratorEngine {
  return new GeneratorEngine({
    engine: {
      rows,
      start: (_request, told) => start(told),
      stop: () => undefined,
      stats: () => ({ promptTokens: 0, tokens: 0, passSeconds: 0 }) as never,
      close: async () => undefined,
    },
    reader,
    ...{
      limits: { context: 99, eosTokenIds: [] },
      prefixSharing: 'tenant',
      now: () => performance.now(),
      random: () => 0,
    },
    publisher: {
      begin: async () => [1],
      unbegin: async () => {},
      write: async (pieces) => pieces.map(() => 2),
      written: async () => [],
      publish: async (finished) => finished.map(() => 1),
      ...publisher,
    },
    rate: { add: () => undefined },
    reporter: {
      holds: () => undefined,
      began: (_item: ClaimedItem, tokens: number) => tell(`began ${tokens}`),
      grew: (tokens: number) => tell(`grew ${tokens}`),
      ended: (_item: ClaimedItem, _finish: Finish, tokens: number) => tell(`ended ${tokens}`),
    } as never,
  });
}

it('ends an answer with all of its text where the last tokens come while earlier ones are read', async () => {
  const published: Finished[] = [];
  let listener: GenerationListener | undefined;
  const reader = new TextReader(() => UNITS);
  const read = reader.read.bind(reader);
  reader.read = async (unread) => {
    const pieces = await read(unread);
    listener?.tokens(tokensOf('swim'));
    listener?.ended(LENGTH);
    return pieces;
  };
  const start = (told: GenerationListener) => {
    listener = told;
    told.tokens(tokensOf('fish '));
  };
  const publish = async (finished: readonly Finished[]) => {
    published.push(...finished);
    return finished.map(() => 1 as const);
  };
  expect(await openEngine(start, { publish }, { reader }).take(ITEM)).toEqual({ kind: 'done' });
  expect(published.map(({ result }) => result?.output)).toMatchObject([{ text: 'fish swim' }]);
});

it.each([
  [0, { kind: 'done' }, 0],
  [-1, { kind: 'done' }, 0],
  [-2, { kind: 'retry', afterMs: 1000 }, 1],
] as const)('a write that is answered %i ends the row: %o', async (verdict, outcome, unbegun) => {
  const back: ClaimedItem[] = [];
  const engine = openEngine((told) => told.tokens(tokensOf('fish')), {
    write: async (pieces) => pieces.map(() => verdict),
    unbegin: async (items) => void back.push(...items),
  });
  expect(await engine.take(ITEM)).toEqual(outcome);
  expect(back.length).toBe(unbegun);
});

it('has no room for what would only wait for a suspect, until that has got on', async () => {
  let told: GenerationListener | undefined;
  const start = (listener: GenerationListener) => {
    told = listener;
  };
  const engine = openEngine(start, {}, { rows: 4 });
  const items = () => engine.room().items;
  expect(items()).toBe(6);
  const done = engine.take({ ...ITEM, strikes: 1 });
  await expect.poll(() => told).toBeDefined();
  expect(items()).toBe(2);
  told!.tokens(tokensOf('x'.repeat(64)));
  await expect.poll(items).toBe(5);
  told!.ended(LENGTH);
  expect(await done).toEqual({ kind: 'done' });
});

it.each([
  ['with its end', 'fish', '.', ['began 4', 'grew 1', 'ended 5']],
  ['that is nothing but its end', '', '.', ['began 1', 'ended 1']],
  ['without a token', '', '', ['began 0', 'ended 0']],
])('counts an answer %s, and the token that ended it as one that was made', async (_, text, end, expected) => {
  const published: Finished[] = [];
  const told: string[] = [];
  const start = (listener: GenerationListener) => {
    if (text !== '') listener.tokens(tokensOf(text));
    const [stop = null] = tokensOf(end);
    listener.ended({ ...LENGTH, reason: stop ? 'stop' : 'length', stop });
  };
  const publish = async (finished: readonly Finished[]) => {
    published.push(...finished);
    return finished.map(() => 1 as const);
  };
  const tell = (what: string) => void told.push(what);
  expect(await openEngine(start, { publish }, { tell }).take(ITEM)).toEqual({ kind: 'done' });
  expect(told).toEqual(expected);
  const ids = Uint32Array.from(tokensOf(text + end), ({ id }) => id);
  expect(published).toMatchObject([
    { used: ids.length, result: { output: { text, ids, finish: end ? 'stop' : 'length' } } },
  ]);
});
