/** Texts that go on elsewhere, begin as others do, or rest beside more urgent ones: they are what they would have been. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { engineOf, GREEDY, type Loaded, loadModel, Outcome, play, prompts, requestOf } from '../testing/texts.js';
import { Row } from './row.js';

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

test('all of an answer that came with its prompt is processed one by one, as it was made, however long it is', () => {
  const request = requestOf(1, new Uint32Array(70), { emitted: new Uint32Array(3000), maxTokens: 4000 });
  const slot = { place: 0, tokens: new Uint32Array(4070), length: 64, prompt: 70, verified: false, scope: 'a' };
  const row = new Row(request, { ...slot, reserved: 4070, used: 1 });
  expect([row.leftOfPrompt, row.left]).toEqual([6, 3006]);
});

test('a prompt that made way for others in its middle counts what it found when it was first begun, and not its own', async () => {
  const text = Uint32Array.from(prompts().flatMap((prompt) => [...prompt]));
  const engine = engineOf(loaded, 4);
  const outcome = new Outcome();
  engine.start(requestOf(1, text.subarray(0, 70), { maxTokens: 40 }));
  await play(engine, outcome, (step) => {
    // Beside the first one, prompts are processed a chunk in a step.
    if (step === 2) engine.start(requestOf(2, text.subarray(0, 230), { rank: 3, owner: 'b', maxTokens: 2 }));
    if (step === 4) engine.start(requestOf(3, text.subarray(100, 120), { rank: 1, owner: 'b', maxTokens: 2 }));
  });
  expect([...outcome.finished.keys()]).toEqual([3, 2, 1]);
  expect(outcome.savings.get(2)?.cachedTokens).toBe(64);
  expect(engine.stats.prefixTokens).toBeGreaterThan(64);
  await engine.release();
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
  expect(outcomes.map(({ savings }) => savings.get(2)?.cachedTokens)).toEqual([0, 128]);
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

test('a prompt that makes way tells how likely its tokens were once, as one that does not', async () => {
  const long = Uint32Array.from(prompts().flatMap((prompt) => [...prompt])).subarray(0, 200);
  const echo = { promptLogprobs: true, topLogprobs: 1, rank: 3, maxTokens: 1 };
  const engine = engineOf(loaded, 3);
  const outcome = new Outcome();
  engine.start(requestOf(1, long, echo));
  await play(engine, outcome);
  // Beside another text its chunks take several steps.
  engine.start(requestOf(2, prompts()[0]!, { owner: 'b' }));
  await play(engine, outcome, (step) => {
    if (step === 2) engine.start(requestOf(3, long, echo));
    if (step === 4) engine.start(requestOf(4, prompts()[1]!, { rank: 1, maxTokens: 2 }));
  });
  await engine.release();
  expect(outcome.finished.get(3)).toBeDefined();
  expect(outcome.prompts.get(3)!.map(({ id }) => id)).toEqual([...long.subarray(1)]);
  expect(outcome.prompts.get(3)).toEqual(outcome.prompts.get(1));
});
