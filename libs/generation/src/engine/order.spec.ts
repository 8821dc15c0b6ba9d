/** Whose turn it is: among waiting texts, amid a step, and beside a suspect. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { engineOf, type Loaded, loadModel, Outcome, play, prompts, requestOf } from '../testing/texts.js';
import { Engine } from './engine.js';

let loaded: Loaded;

beforeAll(async () => {
  loaded = await loadModel('wordnet-lm');
});
afterAll(() => loaded.session.release());

async function idsAlone(prompt: Uint32Array, maxTokens: number): Promise<number[]> {
  const engine = engineOf(loaded, 1);
  const outcome = new Outcome();
  engine.start(requestOf(1, prompt, { maxTokens }));
  await play(engine, outcome);
  await engine.release();
  return outcome.idsOf(1);
}

describe('the order', () => {
  test('is that of the requests, not of their arrival', async () => {
    const engine = engineOf(loaded, 1);
    const outcome = new Outcome();
    for (const [id, order] of [
      [1, 30],
      [2, 10],
      [3, 20],
    ] as const) {
      engine.start(requestOf(id, prompts()[id]!, { order, maxTokens: 2 }));
    }
    await play(engine, outcome);
    expect([...outcome.finished.keys()]).toEqual([2, 3, 1]);
    await engine.release();
  });

  test('lets a better rank that comes amid a prompt have its first token in the same step', async () => {
    const [long, short] = [Uint32Array.from({ length: 200 }, (_, n) => 5 + n), prompts()[1]!];
    let passes = 0;
    const { session, info } = loaded;
    const options = { rows: 2, context: info.maxContext, budget: 2 * info.maxContext, now: () => 0 };
    const engine: Engine = new Engine(session, info, {
      ...options,
      hear: () => {
        if (++passes === 1) engine.start(requestOf(2, short, { order: 2, rank: 1 }));
      },
    });
    const outcome = new Outcome();
    const made: number[][] = [];
    engine.start(requestOf(1, long, { order: 1, rank: 2, maxTokens: 3 }));
    await play(engine, outcome, () => {
      made.push([1, 2].map((id) => outcome.idsOf(id).length));
    });
    expect(made[1]).toEqual([0, 1]);
    expect(outcome.idsOf(1)).toEqual(await idsAlone(long, 3));
    expect(outcome.idsOf(2)).toEqual(await idsAlone(short, 24));
    await engine.release();
  });

  test('has nobody else in a pass while a suspect has no token yet', async () => {
    const engine = engineOf(loaded, 4);
    const outcome = new Outcome();
    const suspect = Uint32Array.from(Array.from({ length: 200 }, (_, n) => 5 + n));
    engine.start(requestOf(1, prompts()[1]!));
    const made: number[] = [];
    await play(engine, outcome, (step) => {
      if (step === 3) {
        engine.start(requestOf(2, suspect, { alone: true, order: 0, maxTokens: 3 }));
        engine.start(requestOf(3, prompts()[3]!, { maxTokens: 3 }));
      }
      made.push(outcome.idsOf(1).length + outcome.idsOf(3).length);
      if (step === 4) expect(outcome.idsOf(2)).toHaveLength(1);
    });
    expect(made.slice(0, 6)).toEqual([0, 1, 2, 3, 3, 5]);
    expect(outcome.idsOf(1)).toEqual(await idsAlone(prompts()[1]!, 24));
    await engine.release();
  });
});
