/** A model is not faster than itself, whatever else the machine does; what is faster is found to be. */

import { seededRandom } from '@shoal/training';
import { describe, expect, test } from 'vitest';
import { LEAST_GAIN } from './judge.js';
import { measureSpeed, medianWithin } from './speed.js';

/** As the evaluator has it of three shapes. */
const CONFIDENCE = 1 - 0.05 / 3;

/** A machine on which a pass takes some ms, more in some minutes than in others, and now and then twenty times as much. */
function noisyMachine(seed: number) {
  const random = seededRandom(seed);
  let [time, load] = [0, 0];
  const pass = (ms: number) => async () => {
    load = Math.max(0, 0.98 * load + 0.1 * (random() - 0.45));
    const tail = Math.min(20, 0.05 / (1 - random()));
    time += ms * (1 + load + tail);
  };
  return { pass, context: { now: () => time, random, signal: new AbortController().signal } };
}

async function measured(seed: number, original: number, candidate: number) {
  const { pass, context } = noisyMachine(seed);
  return await measureSpeed({ original: pass(original), candidate: pass(candidate) }, context, CONFIDENCE);
}

test('of 200 models beside themselves, at three shapes each, at most 5 % are taken for faster', async () => {
  let [wrong, above] = [0, 0];
  for (let run = 0; run < 200; run++) {
    const shapes = [];
    for (const ms of [4, 11, 30]) shapes.push(await measured(1000 * run + ms, ms, ms));
    if (shapes.some(({ low }) => low > LEAST_GAIN)) wrong += 1;
    if (shapes.some(({ low }) => low > 1)) above += 1;
  }
  expect(wrong).toBeLessThanOrEqual(10);
  // The intervals alone hold what they say; the least gain is for what no interval sees.
  expect(above).toBeLessThanOrEqual(10);
});

test('a third faster is found to be, nearly always', async () => {
  let found = 0;
  for (let run = 0; run < 100; run++) {
    const { ratio, low, high } = await measured(run, 8, 6);
    if (low > LEAST_GAIN) found += 1;
    expect(low).toBeLessThanOrEqual(ratio);
    expect(high).toBeGreaterThanOrEqual(ratio);
  }
  expect(found).toBeGreaterThanOrEqual(95);
});

describe('rounds', () => {
  /** Passes without noise, by their names. */
  function quietMachine() {
    let time = 0;
    const turns: string[] = [];
    const pass = (name: string, ms: number) => async () => {
      turns.push(name);
      time += ms;
    };
    return { pass, turns, now: () => time };
  }

  test('time both in random order, end as soon as the interval is fine, and after a warm up', async () => {
    const { pass, turns, now } = quietMachine();
    const context = { now, random: seededRandom(4), signal: new AbortController().signal };
    const found = await measureSpeed({ original: pass('o', 30), candidate: pass('c', 20) }, context);
    expect(found).toEqual({ ratio: 1.5, low: 1.5, high: 1.5, rounds: 15 });
    const rounds = turns
      .slice(turns.length - 30)
      .join('')
      .match(/../g)!;
    expect(rounds.every((round) => round === 'oc' || round === 'co')).toBe(true);
    expect(new Set(rounds).size).toBe(2);
    expect(turns.slice(0, -30).join('')).toMatch(/^ooo+ccc+$/);
  });

  test('time as many passes as take long enough', async () => {
    const { pass, turns, now } = quietMachine();
    const context = { now, random: () => 0, signal: new AbortController().signal };
    await measureSpeed({ original: pass('o', 1), candidate: pass('c', 40) }, context);
    expect(turns.join('').endsWith(`${'o'.repeat(20)}c`)).toBe(true);
  });

  test('are timed by the clock that is given, and limited by time', async () => {
    let [time, cpu] = [0, 0];
    const pass = (ms: number, other: number) => async () => {
      cpu += ms;
      time += ms + other;
    };
    const context = {
      now: () => time,
      clock: () => cpu,
      random: seededRandom(4),
      signal: new AbortController().signal,
    };
    const found = await measureSpeed({ original: pass(30, 0), candidate: pass(20, 500) }, context);
    expect(found).toMatchObject({ ratio: 1.5, rounds: 15 });
  });

  test('end with the signal', async () => {
    const { pass, now } = quietMachine();
    const stop = new AbortController();
    stop.abort(new Error('enough'));
    const run = { original: pass('o', 1), candidate: pass('c', 1) };
    await expect(measureSpeed(run, { now, random: Math.random, signal: stop.signal })).rejects.toThrow('enough');
  });
});

test('the interval of a median lies between order statistics of the binomial distribution', () => {
  const values = Array.from({ length: 20 }, (_, n) => n + 1);
  // P(X ≤ 5) = 0.0207 of 20 throws of a coin, P(X ≤ 6) = 0.0577.
  expect(medianWithin(values, 0.95)).toEqual({ ratio: 10.5, low: 6, high: 15 });
  expect(medianWithin([3, 1, 2], 0.95)).toEqual({ ratio: 2, low: 1, high: 3 });
});
