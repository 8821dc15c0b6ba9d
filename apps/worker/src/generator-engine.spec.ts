import type { Finish, GenerationListener, NewToken } from '@shoal/generation';
import type { StreamDecoder } from '@shoal/models';
import { type ClaimedItem, Dropped, type Finished } from '@shoal/queue';
import { expect, it } from 'vitest';
import { GeneratorEngine } from './generator-engine.js';
import { TextReader } from './text-reader.js';

/** Tokens are code units. */
const UNITS: StreamDecoder = {
  decode: async (lists) => lists.map((ids) => String.fromCharCode(...ids)),
  isSkipped: () => false,
  isByte: () => false,
};
const LENGTH: Finish = { reason: 'length', stopId: null };

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
  const engine = new GeneratorEngine({
    engine: {
      rows: 1,
      start: (_request, told) => {
        listener = told;
        told.tokens(tokensOf('fish '));
      },
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
      publish: async (finished) => {
        published.push(...finished);
        return finished.map(() => 1);
      },
    },
    rate: { add: () => undefined },
    reporter: {
      holds: () => undefined,
      began: () => undefined,
      grew: () => undefined,
      ended: () => undefined,
    } as never,
  });
  expect(await engine.take(ITEM)).toEqual({ kind: 'done' });
  expect(published.map(({ result }) => result?.output)).toMatchObject([{ text: 'fish swim' }]);
});
