import { describe, expect, test } from 'vitest';
import {
  chunkOf,
  compaction,
  goingOn,
  IDLE_PROMPTS,
  nextInTurn,
  planStep,
  promptsBeside,
  waitsForOthers,
} from './scheduler.js';

const turn = (order: number, alone = false) => ({ order, alone });

describe('a step', () => {
  test('is of texts that go on, and of few tokens of prompts beside them', () => {
    expect(planStep(3, undefined)).toEqual({ decode: true, verify: false, budget: promptsBeside(3) });
    expect(planStep(3, turn(1))).toEqual({ decode: true, verify: false, budget: promptsBeside(3) });
  });

  test('has more tokens of prompts beside more texts, never more than without any', () => {
    expect([1, 16, 17, 32, 33, 64, 1000].map(promptsBeside)).toEqual([64, 64, 128, 128, 192, 256, 256]);
    expect(IDLE_PROMPTS).toBe(256);
  });

  test('verifies proposals only where few texts go on', () => {
    expect([1, 2, 3].map((decoding) => planStep(decoding, undefined).verify)).toEqual([true, true, false]);
  });

  test('is of many tokens of prompts where no text waits for its next one', () => {
    expect(planStep(0, turn(1))).toEqual({ decode: false, verify: false, budget: IDLE_PROMPTS });
  });

  test('is of nobody else while a suspect is processed', () => {
    expect(planStep(3, turn(1, true))).toEqual({ decode: false, verify: false, budget: IDLE_PROMPTS });
  });
});

test('a chunk ends where the next one begins, whatever was processed before', () => {
  expect(chunkOf(0, 10)).toBe(10);
  expect(chunkOf(64, 100)).toBe(64);
  expect(chunkOf(70, 100)).toBe(58);
});

test('texts of a better rank let few others of their owner go on beside them, none beside their prompts, and none begin', () => {
  const text = (owner: string, rank: number, order: number) => ({ owner, rank, order, alone: false });
  const low = Array.from({ length: 6 }, (_, n) => text('a', 3, 10 - n));
  const other = text('b', 3, 50);
  expect(goingOn([...low, other])).toHaveLength(7);
  const high = Array.from({ length: 8 }, (_, n) => text('a', 1, n));
  expect(goingOn([...low, ...high, other])).toEqual([...high, other, low[5], low[4]]);
  expect(goingOn([low[0]!, low[1]!, high[0]!])).toEqual([high[0], low[1]]);
  expect(goingOn([...low, other], high[0])).toEqual([other]);
  expect(goingOn([...low, ...high.slice(1)], high[0])).toEqual(high.slice(1));
  expect(goingOn(low, other)).toEqual(low);
  expect(waitsForOthers(low[0]!, [high[0]!])).toBe(true);
  expect(waitsForOthers(high[0]!, low)).toBe(false);
  expect(waitsForOthers(other, high)).toBe(false);
});

test('the next in turn has the lowest order, and came first among equals', () => {
  expect(nextInTurn([])).toBeUndefined();
  const waiting = [turn(5), turn(3), turn(9), turn(3)];
  expect(nextInTurn(waiting)).toBe(waiting[1]);
});

describe('rows that go on come to be the first ones', () => {
  test.each([
    [[], []],
    [[0, 1, 2], []],
    [[2, 0, 1], []],
    [[0, 2], [[1, 2]]],
    [[5], [[0, 5]]],
    [
      [7, 1, 4],
      [
        [0, 7],
        [2, 4],
      ],
    ],
  ])('%j: %j', (places, moves) => expect(compaction(places)).toEqual(moves));
});
