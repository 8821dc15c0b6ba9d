/**
 * Texts that go on elsewhere, begin as others do, rest beside more urgent ones, or have another beside them whose proposals are
 * verified: they are what they would have been.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lookUp } from '../speculation/prompt-lookup.js';
import { engineOf, GREEDY, type Loaded, loadModel, Outcome, play, prompts, requestOf } from '../testing/texts.js';
import { Engine } from './engine.js';

let loaded: Loaded;
beforeAll(async () => {
  loaded = await loadModel('wordnet-lm');
});
afterAll(() => loaded.session.release());

test('texts that go on in another engine are what they would have been, sampled too', async () => {
  const sampled = { sampling: { ...GREEDY, temperature: 1, seed: 7 }, maxTokens: 60 };
  const whole = new Outcome();
  const engine = engineOf(loaded, 16);
  for (const [n, prompt] of prompts().entries()) engine.start(requestOf(n, prompt, sampled));
  await play(engine, whole);
  await engine.release();
  const other = engineOf(loaded, 16);
  const rest = new Outcome();
  const emitted = (n: number) => Uint32Array.from(whole.idsOf(n).slice(0, 5 + 3 * n));
  for (const [n, prompt] of prompts().entries()) other.start(requestOf(n, prompt, { ...sampled, emitted: emitted(n) }));
  await play(other, rest);
  await other.release();
  for (const n of prompts().keys()) expect([...emitted(n), ...rest.idsOf(n)]).toEqual(whole.idsOf(n));
});

test('texts that begin as others do take whole chunks of them over, and are what they are without', async () => {
  const long = Uint32Array.from(
    prompts()
      .flatMap((prompt) => [...prompt])
      .slice(0, 150),
  );
  const other = Uint32Array.from([...long.subarray(0, 140), ...prompts()[3]!]);
  const [first, second] = [engineOf(loaded, 3), engineOf(loaded, 3)];
  const outcomes = [new Outcome(), new Outcome()] as const;
  second.start(requestOf(1, long));
  await play(second, outcomes[1]);
  for (const [n, engine] of [first, second].entries()) {
    engine.start(requestOf(2, other));
    await play(engine, outcomes[n]!);
    await engine.release();
  }
  expect(outcomes.map(({ finished }) => finished.get(2)?.cachedTokens)).toEqual([0, 128]);
  expect(outcomes[1].idsOf(2)).toEqual(outcomes[0].idsOf(2));
});

test('texts of a lower rank rest while their owner has others, and those of another owner go on', async () => {
  const engine = engineOf(loaded, 6);
  const outcome = new Outcome();
  const [low, high] = [
    { rank: 3, maxTokens: 40 },
    { rank: 1, maxTokens: 10 },
  ];
  for (const id of [1, 2, 3]) engine.start(requestOf(id, prompts()[id]!, low));
  engine.start(requestOf(4, prompts()[4]!, { ...low, owner: 'b' }));
  const made = () => [1, 2, 3, 4].map((id) => outcome.idsOf(id).length);
  let before: number[] = [];
  let after: number[] = [];
  await play(engine, outcome, (step) => {
    if (step === 6) {
      before = made();
      engine.start(requestOf(5, prompts()[5]!, high));
    }
    if (after.length === 0 && outcome.finished.has(5)) after = made();
  });
  const grown = after.map((count, n) => count - before[n]!);
  expect(grown[3]).toBeGreaterThanOrEqual(9);
  // One of the three goes on beside it.
  expect(grown.slice(0, 3).filter((count) => count > 1)).toHaveLength(1);
  expect(made()).toEqual([40, 40, 40, 40]);
  await engine.release();
});

test('sampled texts are what they are alone beside a greedy one that repeats itself, for which much could be proposed', async () => {
  const { session, info } = loaded;
  const context = info.maxContext;
  const options = { rows: 2, context, budget: 2 * context, now: () => performance.now(), propose: lookUp };
  const sampled = (n: number) =>
    requestOf(n, prompts()[n]!, { sampling: { ...GREEDY, temperature: 0.9, seed: n }, maxTokens: 100, owner: 'b' });
  const greedy = requestOf(9, prompts()[1]!, { maxTokens: 200 });
  for (const n of [2, 3, 4]) {
    const texts: number[][] = [];
    let proposed = 0;
    for (const others of [[], [greedy]]) {
      const engine = new Engine(session, info, options);
      const outcome = new Outcome();
      for (const request of [...others, sampled(n)]) engine.start(request);
      await play(engine, outcome);
      await engine.release();
      texts.push(outcome.idsOf(n));
      proposed = engine.stats.accepted;
    }
    expect(texts[1]).toEqual(texts[0]);
    // Once it is alone.
    expect(proposed).toBeGreaterThan(0);
  }
});
