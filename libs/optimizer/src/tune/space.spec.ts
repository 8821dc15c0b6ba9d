/** What may be chosen is what a worker would do. */
import { expect, test } from 'vitest';
import { countSettings, everyChoice, everySetting } from './setting.js';
import { decoderSpace, type EncoderFacts, encoderSpace, threadCounts } from './space.js';

const SESSION = { threads: 1, spinning: false, flashAttention: true, cpuArena: true };
const FACTS: EncoderFacts = {
  ...{ cores: 2, twoAttentions: false, maxLength: 128, mostTokens: 4000, limitIsFree: true, anyLength: true },
  defaults: { ...SESSION, maxBatchTokens: 1024, passTokens: 60 },
};
const namesOf = (facts: Partial<EncoderFacts>) => encoderSpace({ ...FACTS, ...facts }).factors.map(({ name }) => name);

test('threads are all up to four, then in steps, and all cores', () => {
  expect(threadCounts(1)).toEqual([1]);
  expect(threadCounts(3)).toEqual([1, 2, 3]);
  expect(threadCounts(10)).toEqual([1, 2, 3, 4, 6, 8, 10]);
  expect(threadCounts(5000).at(-1)).toBe(1024);
});

test('a space holds its defaults, once', () => {
  for (const space of [encoderSpace(FACTS), encoderSpace({ ...FACTS, cores: 12, twoAttentions: true })]) {
    const all = everySetting(space).map((setting) => JSON.stringify(setting));
    expect(all).toHaveLength(countSettings(space));
    expect(new Set(all).size).toBe(all.length);
    expect(all.filter((setting) => setting === JSON.stringify(space.defaults))).toHaveLength(1);
  }
  const { factors, defaults } = encoderSpace(FACTS);
  const chosen = everyChoice({ factors, defaults }).map((choice) =>
    Object.assign({}, defaults, ...choice.map((option, n) => factors[n]!.options[option])),
  );
  expect(chosen).toEqual(everySetting({ factors, defaults }));
  const decoder = decoderSpace({ cores: 2, twoAttentions: true }, { ...SESSION, threads: 2, spinning: true });
  expect(everySetting(decoder)).toContainEqual(decoder.defaults);
  expect(countSettings(decoder)).toBe(12);
});

test('batches have room for the longest text, and are not longer than all behind them can wait', () => {
  const limitsOf = (facts: Partial<EncoderFacts>) =>
    encoderSpace({ ...FACTS, ...facts })
      .factors.find(({ name }) => name === 'tokens of a batch')
      ?.options.map(({ maxBatchTokens }) => maxBatchTokens);
  expect(limitsOf({})).toEqual([256, 512, 1024, 2048]);
  expect(limitsOf({ maxLength: 512 })).toEqual([512, 1024, 2048]);
  expect(limitsOf({ mostTokens: 800 })).toEqual([256, 512, 1024]);
});

test('there is no factor where there is nothing to choose', () => {
  expect(namesOf({})).toEqual(['threads', 'tokens of a batch', 'padding', 'memory']);
  expect(namesOf({ cores: 1 })).toEqual(['tokens of a batch', 'padding', 'memory']);
  expect(namesOf({ twoAttentions: true })).toContain('attention');
  expect(namesOf({ anyLength: false })).not.toContain('padding');
  expect(namesOf({ limitIsFree: false })).toEqual(['threads', 'memory']);
});
