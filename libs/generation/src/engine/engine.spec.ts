/** Texts in a crowd are those that they are alone. */
import type { IoBinding, Session } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateGreedily } from '../generate.js';
import { bytesPerToken } from '../kv/cache.js';
import { engineOf, GREEDY, type Loaded, loadModel, Outcome, play, prompts, requestOf } from '../testing/texts.js';
import { Engine, type Propose } from './engine.js';

const TOKENS = 24;

/**
 * Between the logits of the two likeliest tokens. A prompt in other chunks is added up in another order, and where that moves
 * an activation to the next of the 8-bit steps in which it is multiplied, logits change by up to 0.03 (seen).
 */
const NEAR_TIE = 0.05;

let loaded: Loaded;
/** Greedy answers to the prompts, one text at a time and without an engine. */
let alone: number[][];

beforeAll(async () => {
  loaded = await loadModel('wordnet-lm');
  alone = [];
  for (const prompt of prompts()) {
    const text: number[] = [];
    for await (const [id] of generateGreedily(loaded.session, loaded.info, [[...prompt]], {
      maxTokens: TOKENS,
      stopIds: [],
    })) {
      text.push(id!);
    }
    alone.push(text);
  }
});
afterAll(() => loaded.session.release());

/** A text may only part from the one expected at a near-tie. `gaps`: see `gapsOf`. */
async function expectSame(outcome: Outcome, answers: ReadonlyMap<number, number>): Promise<void> {
  for (const [id, answer] of answers) {
    const [found, expected] = [outcome.idsOf(id), alone[answer]!];
    if (found.join() === expected.join()) continue;
    const parts = expected.findIndex((token, n) => token !== found[n]);
    expect(parts, `request ${id} has ${found.length} tokens`).toBeLessThan(found.length);
    expect(await gapAfter([...prompts()[answer]!, ...expected.slice(0, parts)])).toBeLessThan(NEAR_TIE);
  }
}

/** Between the logits of the two likeliest tokens after a text. */
async function gapAfter(text: readonly number[]): Promise<number> {
  const engine = engineOf(loaded, 1);
  const outcome = new Outcome();
  engine.start(requestOf(1, Uint32Array.from(text), { maxTokens: 1, topLogprobs: 2 }));
  await play(engine, outcome);
  await engine.release();
  const [first, second] = outcome.tokens.get(1)![0]!.topValues;
  return first! - second!;
}

const all = () => new Map(prompts().map((_, n) => [n, n]));

describe('greedy texts', () => {
  test('one after the other', async () => {
    const engine = engineOf(loaded, 1);
    const outcome = new Outcome();
    for (const [n, prompt] of prompts().entries()) engine.start(requestOf(n, prompt));
    await play(engine, outcome);
    await expectSame(outcome, all());
    expect(outcome.finished.get(3)).toMatchObject({ reason: 'length', stop: null });
    await engine.release();
  });

  test('that come and go: 64 texts of all lengths in 12 rows, started at different steps', async () => {
    const engine = engineOf(loaded, 12);
    const outcome = new Outcome();
    const texts = prompts();
    const answers = new Map(Array.from({ length: 64 }, (_, n) => [n, n % texts.length]));
    await play(engine, outcome, (step) => {
      for (const [id, answer] of answers) {
        if (Math.floor(id / 3) !== step) continue;
        const maxTokens = TOKENS - (id % 5) * 4;
        engine.start(requestOf(id, texts[answer]!, { maxTokens, order: 64 - id }));
      }
    });
    expect(outcome.finished.size).toBe(64);
    for (const [id, answer] of answers) {
      const expected = alone[answer]!.slice(0, TOKENS - (id % 5) * 4);
      expect(outcome.idsOf(id)).toHaveLength(expected.length);
      if (outcome.idsOf(id).join() !== expected.join()) await expectSame(outcome, new Map([[id, answer]]));
    }
    expect(engine.stats).toMatchObject({ running: 0, waiting: 0 });
    await engine.release();
  });

  test('that were stopped and go on with what they had, and texts that begin as they do', async () => {
    const engine = engineOf(loaded, 3);
    const outcome = new Outcome();
    const prompt = prompts()[0]!;
    engine.start(requestOf(1, prompt));
    await play(engine, outcome, () => {
      if (outcome.idsOf(1).length === 9) engine.stop(1);
    });
    expect(outcome.finished.size).toBe(0);
    engine.start(requestOf(2, prompt, { emitted: Uint32Array.from(outcome.idsOf(1)) }));
    engine.start(requestOf(3, prompt));
    engine.start(requestOf(4, prompt, { cacheScope: 'b' }));
    await play(engine, outcome);
    expect([...outcome.idsOf(1), ...outcome.idsOf(2)]).toEqual(alone[0]);
    await expectSame(outcome, new Map([3, 4].map((id) => [id, 0])));
    // All that was processed of the first one; in another scope nothing.
    expect(engine.stats.prefixTokens).toBe(prompt.length + 8);
    expect([2, 4].map((id) => outcome.savings.get(id)?.cachedTokens)).toEqual([prompt.length, 0]);
    await engine.release();
  });

  test('of long prompts, in chunks beside others that go on', async () => {
    const text = prompts()
      .flatMap((prompt) => [...prompt])
      .slice(0, 200);
    const long = Uint32Array.from(text);
    const engine = engineOf(loaded, 4);
    const outcome = new Outcome();
    const steps: number[] = [];
    engine.start(requestOf(1, prompts()[1]!));
    await play(engine, outcome, (step) => {
      if (step === 2) engine.start(requestOf(2, long, { maxTokens: 6 }));
      steps.push(outcome.idsOf(1).length);
    });
    // Nobody waits for the long prompt: each step has a token of the other text.
    expect(steps.slice(1, TOKENS + 1)).toEqual(Array.from({ length: TOKENS }, (_, n) => n + 1));
    await expectSame(outcome, new Map([[1, 1]]));
    const expected: number[] = [];
    const options = { maxTokens: 6, stopIds: [] };
    for await (const [id] of generateGreedily(loaded.session, loaded.info, [text], options)) expected.push(id!);
    if (outcome.idsOf(2).join() !== expected.join()) {
      const parts = expected.findIndex((id, n) => id !== outcome.idsOf(2)[n]);
      expect(await gapAfter([...text, ...expected.slice(0, parts)])).toBeLessThan(NEAR_TIE);
    }
    await engine.release();
  });

  test('end with a stop token, which is told with their end, once they have as many tokens as are asked for', async () => {
    const engine = engineOf(loaded, 2);
    const outcome = new Outcome();
    const stop = alone[0]![5]!;
    const before = alone[0]!.indexOf(stop);
    engine.start(requestOf(1, prompts()[0]!, { stopIds: [stop], topLogprobs: 2 }));
    engine.start(requestOf(2, prompts()[0]!, { stopIds: [stop], minTokens: TOKENS }));
    engine.start(requestOf(3, prompts()[0]!, { maxTokens: 0 }));
    await play(engine, outcome);
    expect(outcome.idsOf(1)).toEqual(alone[0]!.slice(0, before));
    expect(outcome.finished.get(1)).toMatchObject({
      reason: 'stop',
      stop: { id: stop, logprob: expect.closeTo(outcome.finished.get(1)!.stop!.topValues[0]!) },
    });
    expect(outcome.idsOf(2)).toHaveLength(TOKENS);
    expect(outcome.idsOf(2)).not.toContain(stop);
    expect(outcome.finished.get(3)).toMatchObject({ reason: 'length' });
    expect(outcome.idsOf(3)).toEqual([]);
    await engine.release();
  });
});

describe('sampled texts', () => {
  const sampled = (seed: number) => ({ sampling: { ...GREEDY, temperature: 1, topP: 0.95, seed }, maxTokens: TOKENS });

  test('are the same alone, in a crowd, and when they were stopped and go on; of other seeds and choices they are others', async () => {
    const texts = prompts();
    const request = (id: number) => requestOf(id, texts[id % 4]!, { ...sampled(id >> 3), choice: (id >> 2) % 2 });
    const expected: number[][] = [];
    for (let id = 0; id < 32; id++) {
      const engine = engineOf(loaded, 1);
      const outcome = new Outcome();
      engine.start(request(id));
      await play(engine, outcome);
      await engine.release();
      expected.push(outcome.idsOf(id));
    }
    expect(new Set(expected.map((ids) => ids.join())).size).toBe(32);
    const engine = engineOf(loaded, 24);
    const outcome = new Outcome();
    const parked = new Set<number>();
    await play(engine, outcome, (step) => {
      for (let id = step * 4; id < Math.min(32, step * 4 + 4); id++) engine.start(request(id));
      for (let id = 0; id < 32; id += 5) {
        const made = outcome.idsOf(id);
        if (made.length < 3 + id / 2 || outcome.finished.has(id) || parked.has(id)) continue;
        parked.add(id);
        engine.stop(id);
        engine.start({ ...request(id), id: id + 100, emitted: Uint32Array.from(made) });
      }
    });
    expect(parked.size).toBe(7);
    const found = expected.map((_, id) => [...outcome.idsOf(id), ...outcome.idsOf(id + 100)]);
    expect(found).toEqual(expected);
    await engine.release();
  });

  test('with penalties and biases keep to them beside others without', async () => {
    const engine = engineOf(loaded, 4);
    const outcome = new Outcome();
    const [first] = alone[0]!;
    engine.start(requestOf(0, prompts()[0]!));
    engine.start(requestOf(1, prompts()[0]!, { sampling: { ...GREEDY, logitBias: [[first!, -100]] } }));
    engine.start(requestOf(2, prompts()[0]!, { sampling: { ...GREEDY, logitBias: [[9, 100]] }, maxTokens: 5 }));
    engine.start(requestOf(3, prompts()[0]!, { sampling: { ...GREEDY, presencePenalty: 2, frequencyPenalty: 2 } }));
    await play(engine, outcome);
    await expectSame(outcome, new Map([[0, 0]]));
    expect(outcome.idsOf(1)).not.toContain(first);
    expect(outcome.idsOf(2)).toEqual([9, 9, 9, 9, 9]);
    expect(new Set(outcome.idsOf(3)).size).toBeGreaterThan(new Set(outcome.idsOf(0)).size);
    await engine.release();
  });
});

describe('proposals of what follows', () => {
  /** Proposes what follows in `texts`, wrongly where `wrong` says so. */
  const oracle =
    (wrong: (known: number) => boolean): Propose =>
    (tokens, _prediction, count) => {
      for (const [n, prompt] of prompts().entries()) {
        const whole = [...prompt, ...alone[n]!];
        if (!tokens.every((token, at) => token === whole[at])) continue;
        const next = whole.slice(tokens.length, tokens.length + count);
        return Uint32Array.from(next, (token, at) => (wrong(tokens.length + at) ? (token + 1) % 4000 : token));
      }
      return new Uint32Array(0);
    };
  const engineWith = (propose: Propose) => {
    const { session, info } = loaded;
    const context = info.maxContext;
    return new Engine(session, info, { rows: 2, context, budget: 2 * context, now: () => performance.now(), propose });
  };

  test('leave the text as it is; what is right takes fewer steps', async () => {
    const engine = engineWith(oracle(() => false));
    const outcome = new Outcome();
    engine.start(requestOf(1, prompts()[1]!, { prediction: new Uint32Array(0) }));
    await play(engine, outcome);
    await expectSame(outcome, new Map([[1, 1]]));
    // One step for the prompt and its first token, then four tokens at a time.
    expect(engine.stats).toMatchObject({ steps: 1 + Math.ceil((TOKENS - 1) / 4), rejected: 0, tokens: TOKENS });
    expect(outcome.savings.get(1)).toMatchObject({ accepted: engine.stats.accepted, rejected: 0 });
    expect(engine.stats.accepted).toBeGreaterThan(TOKENS / 2);
    await engine.release();
  });

  test('that are wrong now and then, of two texts that come and go and stop', async () => {
    const engine = engineWith(oracle((known) => known % 3 === 0));
    const outcome = new Outcome();
    const stop = alone[5]!.at(-4)!;
    for (const n of [0, 1, 2, 3]) engine.start(requestOf(n, prompts()[n]!));
    engine.start(requestOf(5, prompts()[5]!, { stopIds: [stop] }));
    await play(engine, outcome);
    await expectSame(outcome, new Map([0, 1, 2, 3].map((n) => [n, n])));
    expect(outcome.idsOf(5)).toEqual(alone[5]!.slice(0, alone[5]!.indexOf(stop)));
    expect(engine.stats.accepted).toBeGreaterThan(0);
    expect(engine.stats.rejected).toBeGreaterThan(0);
    await engine.release();
  });

  test('are given up while they are seldom right', async () => {
    let asked = 0;
    const wrong = oracle(() => true);
    const engine = engineWith((...text) => {
      asked++;
      return wrong(...text);
    });
    const outcome = new Outcome();
    engine.start(requestOf(1, prompts()[1]!));
    await play(engine, outcome);
    await expectSame(outcome, new Map([[1, 1]]));
    expect(asked).toBe(1);
    await engine.release();
  });
});

describe('log probabilities', () => {
  test('are those of the whole vocabulary; of a prompt too, whatever is in the cache', async () => {
    const engine = engineOf(loaded, 2);
    const outcome = new Outcome();
    const prompt = prompts()[2]!;
    const asked = { topLogprobs: 5, promptLogprobs: true, maxTokens: 4 };
    engine.start(requestOf(1, prompt, asked));
    await play(engine, outcome);
    engine.start(requestOf(2, prompt, asked));
    // The answer as a part of the prompt is as likely as it was.
    engine.start(requestOf(3, Uint32Array.of(...prompt, ...outcome.idsOf(1)), { ...asked, maxTokens: 0 }));
    await play(engine, outcome);
    const [first, again, longer] = [1, 2, 3].map((id) => outcome.prompts.get(id)!);
    expect(first!.map(({ id }) => id)).toEqual([...prompt.subarray(1)]);
    expect(again).toEqual(first);
    for (const [n, token] of outcome.tokens.get(1)!.entries()) {
      expect(token.topIds).toHaveLength(5);
      expect(token.logprob).toBe(token.topValues[0]);
      expect(token.topValues.reduce((sum, value) => sum + Math.exp(value), 0)).toBeLessThan(1.0001);
      expect(longer![prompt.length - 1 + n]!.id).toBe(token.id);
      expect(longer![prompt.length - 1 + n]!.logprob).toBeCloseTo(token.logprob, 3);
    }
    await engine.release();
  });
});

test('an engine whose texts have all ended has no row in use, and uses no more memory than its budget', async () => {
  const { session, info } = loaded;
  const budget = info.maxContext;
  const engine = new Engine(session, info, { rows: 8, context: info.maxContext, budget, now: () => performance.now() });
  const outcome = new Outcome();
  const bytes = bytesPerToken(session, info);
  let largest = 0;
  for (let id = 0; id < 24; id++) engine.start(requestOf(id, prompts()[id % 16]!, { cacheScope: `${id}` }));
  await play(engine, outcome, () => {
    largest = Math.max(largest, engine.stats.cacheBytes);
  });
  expect(outcome.finished.size).toBe(24);
  await expectSame(outcome, new Map(Array.from({ length: 24 }, (_, id) => [id, id % 16])));
  expect(largest).toBeLessThanOrEqual((budget + 8 * 8) * bytes);
  expect(engine.stats).toMatchObject({ running: 0, waiting: 0 });
  await engine.release();
});

test('a pass that fails ends the texts in it with its error, and the engine goes on', async () => {
  const { session, info } = loaded;
  let failing = false;
  const broken: Session = {
    ...session,
    inputs: session.inputs,
    outputs: session.outputs,
    metadata: session.metadata,
    run: (feeds, options) => session.run(feeds, options),
    release: () => session.release(),
    bind() {
      const binding = session.bind();
      const run: IoBinding['run'] = (options) => (failing ? Promise.reject(new Error('broken')) : binding.run(options));
      return {
        run,
        bindInput: (name, tensor) => binding.bindInput(name, tensor),
        bindOutput: (name, target) => binding.bindOutput(name, target),
        feedBack: (output, input) => binding.feedBack(output, input),
        release: () => binding.release(),
      };
    },
  };
  const engine = engineOf({ session: broken, info }, 4);
  const outcome = new Outcome();
  engine.start(requestOf(1, prompts()[0]!));
  await play(engine, outcome, (step) => {
    if (step === 2) engine.start(requestOf(2, prompts()[1]!));
    failing = step === 3;
  });
  expect(outcome.failed).toEqual(
    new Map([
      [1, 'internal_error'],
      [2, 'internal_error'],
    ]),
  );
  engine.start(requestOf(3, prompts()[0]!));
  await play(engine, outcome);
  await expectSame(outcome, new Map([[3, 0]]));
  await engine.release();
});
