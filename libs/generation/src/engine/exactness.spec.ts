/** The same request gives the same logits, to the last bit, whatever was in the cache and whoever is beside it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { engineOf, GREEDY, type Loaded, loadModel, Outcome, play, prompts, requestOf } from '../testing/texts.js';
import type { GenerationRequest } from '../types.js';
import { Engine } from './engine.js';

let loaded: Loaded;
beforeAll(async () => {
  loaded = await loadModel('wordnet-lm');
});
afterAll(() => loaded.session.release());

/** Tokens that make some sense, so that answers to them are long. */
const TEXT = Uint32Array.from(prompts().flatMap((prompt) => [...prompt])).subarray(0, 200);
const SAMPLED = { sampling: { ...GREEDY, temperature: 1, seed: 3 }, topLogprobs: 20, maxTokens: 16 };

/** What requests came to, started one after the other in one engine. */
async function answers(...requests: readonly GenerationRequest[]): Promise<Outcome> {
  const engine = engineOf(loaded, 3);
  const outcome = new Outcome();
  for (const request of requests) {
    engine.start(request);
    await play(engine, outcome);
  }
  await engine.release();
  return outcome;
}

/** Log probabilities tell apart what differs by a bit. */
async function expectSame(outcome: Outcome, request: GenerationRequest): Promise<void> {
  const alone = await answers(request);
  expect(alone.tokens.get(request.id)).toHaveLength(request.maxTokens);
  expect(outcome.tokens.get(request.id)).toEqual(alone.tokens.get(request.id));
}

describe('behind another text', () => {
  // A chunk of one token is rounded as an answer's tokens are.
  test('that ended with a chunk of one token', async () => {
    const next = requestOf(2, TEXT.subarray(0, 150), SAMPLED);
    for (const donor of [
      requestOf(1, TEXT.subarray(0, 129), { maxTokens: 1 }),
      requestOf(1, TEXT.subarray(0, 97), { maxTokens: 1, topLogprobs: 1, promptLogprobs: true }),
    ]) {
      const outcome = await answers(donor, next);
      expect(outcome.savings.get(2)?.cachedTokens).toBe(donor.prompt.length - (donor.prompt.length % 64));
      await expectSame(outcome, next);
    }
  });

  test('of the same conversation, of which it is the next turn', async () => {
    const donor = requestOf(1, TEXT.subarray(0, 90), SAMPLED);
    const before = await answers(donor);
    const next = requestOf(2, Uint32Array.of(...donor.prompt, ...before.idsOf(1), ...TEXT.subarray(0, 40)), SAMPLED);
    const third = requestOf(3, Uint32Array.of(...next.prompt, ...TEXT.subarray(50, 70)), SAMPLED);
    const outcome = await answers(donor, next, third);
    expect([2, 3].map((id) => outcome.savings.get(id)?.cachedTokens)).toEqual([64, 128]);
    await expectSame(outcome, next);
    await expectSame(outcome, third);
  });

  test('whose answer was edited', async () => {
    const donor = requestOf(1, TEXT.subarray(0, 30), { ...SAMPLED, maxTokens: 120 });
    const before = await answers(donor);
    const edited = Uint32Array.of(...donor.prompt, ...before.idsOf(1).slice(0, 105), ...TEXT.subarray(0, 30));
    const next = requestOf(2, edited, SAMPLED);
    await expectSame(await answers(donor, next), next);
  });
});

test('in a crowd of other lengths, and beside a text whose proposals are verified', async () => {
  const { session, info } = loaded;
  const context = info.maxContext;
  // Always four tokens in a pass of the greedy text, right or wrong.
  const propose = (tokens: Uint32Array, _: unknown, count: number) => new Uint32Array(count).fill(tokens.at(-1)!);
  for (const others of [1, 7]) {
    const budget = 8 * context;
    const engine = new Engine(session, info, { rows: 8, context, budget, now: () => performance.now(), propose });
    const outcome = new Outcome();
    const request = requestOf(0, TEXT.subarray(0, 100), { ...SAMPLED, order: 9 });
    for (let id = 1; id <= others; id++) engine.start(requestOf(id, TEXT.subarray(id, 20 + 9 * id), { maxTokens: 40 }));
    engine.start(request);
    await play(engine, outcome);
    expect(engine.stats.rejected).toBeGreaterThan(0);
    await engine.release();
    await expectSame(outcome, request);
  }
});
