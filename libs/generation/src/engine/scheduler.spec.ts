import { describe, expect, test } from 'vitest';
import { BUSY_CHUNK, chunkOf, compaction, IDLE_CHUNK, nextInTurn, planStep } from './scheduler.js';

const turn = (order: number, alone = false) => ({ order, alone });

describe('a step', () => {
  test('is of texts that go on, and of few tokens of prompts beside them', () => {
    expect(planStep(3, undefined)).toEqual({ decode: true, verify: false, budget: BUSY_CHUNK });
    expect(planStep(3, turn(1))).toEqual({ decode: true, verify: false, budget: BUSY_CHUNK });
  });

  test('verifies proposals only where few texts go on', () => {
    expect([1, 2, 3].map((decoding) => planStep(decoding, undefined).verify)).toEqual([true, true, false]);
  });

  test('is of many tokens of prompts where no text waits for its next one', () => {
    expect(planStep(0, turn(1))).toEqual({ decode: false, verify: false, budget: IDLE_CHUNK });
  });

  test('is of nobody else while a suspect is processed', () => {
    expect(planStep(3, turn(1, true))).toEqual({ decode: false, verify: false, budget: IDLE_CHUNK });
  });
});

test('a chunk is what is left of a prompt and of the budget, smaller where all logits are wanted', () => {
  expect(chunkOf({ left: 10, everyToken: false }, 64)).toBe(10);
  expect(chunkOf({ left: 100, everyToken: false }, 64)).toBe(64);
  expect(chunkOf({ left: 100, everyToken: true }, 256)).toBe(32);
  expect(chunkOf({ left: 100, everyToken: true }, 7)).toBe(7);
});

test('the next in turn has the lowest order, and came first among equals', () => {
  expect(nextInTurn([])).toBe(-1);
  expect(nextInTurn([turn(5), turn(3), turn(9), turn(3)])).toBe(1);
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
