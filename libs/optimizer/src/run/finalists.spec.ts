/** Which candidates are judged. */
import { expect, test } from 'vitest';
import { chooseFinalists, type Measured } from './finalists.js';

function measured(method: string, variant: string, mean: number, ratio: number, high = ratio + 0.05): Measured {
  return {
    candidate: { method, variant, settings: {}, seconds: 1 },
    comparison: {
      loss: { metric: 'accuracy', mean, bound: mean + 0.02, texts: 100 },
      speeds: [{ batch: 1, tokens: 16, ratio, low: ratio - 0.05, high }],
      figures: {},
    },
  };
}

const names = (all: readonly Measured[]) => all.map(({ candidate }) => candidate.variant);

test('of each method the fastest whose loss seems to be allowed, whatever its bound is; the fastest of all first', () => {
  const all = [
    ...[measured('int8', 'int8', 0.001, 1.5), measured('int4', 'int4-h8', 0.002, 1.8)],
    ...[measured('int4', 'int4-b128', 0.009, 2), measured('int4', 'int4', 0.03, 3)],
  ];
  const { finalists, outdone, hopeless } = chooseFinalists(all, 0.01, false);
  expect(names(finalists)).toEqual(['int4-b128', 'int8']);
  expect(outdone.map(({ measured: one, by }) => [one.candidate.variant, by.candidate.variant])).toEqual([
    ['int4-h8', 'int4-b128'],
    ['int4', 'int4-b128'],
  ]);
  expect(hopeless).toEqual([]);
});

test('none where all of a method lose too much or cannot be faster, unless what does not pass is kept', () => {
  const all = [measured('a', 'lossy', 0.02, 2), measured('a', 'slow', 0.015, 0.8, 0.9)];
  expect(chooseFinalists(all, 0.01, false)).toMatchObject({ finalists: [], hopeless: all });
  const kept = chooseFinalists(all, 0.01, true);
  expect(names(kept.finalists)).toEqual(['slow']);
  expect(kept.hopeless).toEqual([]);
});
