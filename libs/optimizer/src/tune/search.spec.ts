/**
 * On machines that are made up: what is fast is found in a share of the time of an exhaustive search, and nothing is kept that is no
 * better than the defaults.
 */
import { seededRandom } from '@shoal/training';
import { describe, expect, it, test } from 'vitest';
import { type Landscape, type LandscapeOptions, landscape } from '../testing/landscape.js';
import { type Found, type SearchProgress, searchSettings } from './search.js';
import { everySetting, keyOf, type Setting } from './setting.js';

const ROUNDS = 50;
const NEVER = new AbortController().signal;
const renew = () => Promise.resolve();

interface Run {
  readonly world: Landscape;
  readonly found: Found<Setting>;
  /** Of the simulated time of an exhaustive search. */
  readonly share: number;
  readonly progress: readonly SearchProgress<Setting>[];
}

async function run(options: LandscapeOptions, budgetMs = Number.POSITIVE_INFINITY): Promise<Run> {
  const world = landscape(options);
  const progress: SearchProgress<Setting>[] = [];
  const found = await searchSettings(world.space, {
    ...{
      measure: world.measure,
      renew: world.renew,
      now: world.now,
      random: seededRandom(options.seed + 1),
      rounds: ROUNDS,
      budgetMs,
    },
    ...{ signal: NEVER, onProgress: (step) => void progress.push(step) },
  });
  return { world, found, share: world.now() / (ROUNDS * world.all), progress };
}

/** One machine for each seed. */
async function runs(count: number, options: Omit<LandscapeOptions, 'seed'>): Promise<Run[]> {
  const all: Run[] = [];
  for (let seed = 0; seed < count; seed++) all.push(await run({ ...options, seed: 97 * seed }));
  return all;
}

/** Time of what is chosen by that of the best. */
const distance = ({ world, found }: Run) => world.truth(found.chosen) / world.best;

const ENCODER = { shape: [3, 4, 3, 2], effect: 0.5, interaction: 0, noise: 0.03 };
const DECODER = { shape: [3, 2, 2], effect: 0.5, interaction: 0, noise: 0.03 };

describe('finds what is within 3 % of the best in a share of the time of an exhaustive search', () => {
  it.each<[string, number, number, Omit<LandscapeOptions, 'seed'>]>([
    ['as many settings as an encoder has: 98 of 100 searches, a fifth', 60, 0.98, ENCODER],
    ['as many settings as a decoder has: 97 of 100 searches, a fifth', 100, 0.97, DECODER],
    ['factors that know of each other: 98 of 100 searches, a fifth', 60, 0.98, { ...ENCODER, interaction: 0.1 }],
    ['a machine with many cores: 95 of 100 searches, a fifth', 20, 0.95, { ...ENCODER, shape: [13, 2, 4, 3, 2] }],
    [
      'much noise that CPU time has not: 98 of 100 searches, a fifth',
      60,
      0.98,
      { ...ENCODER, shape: [1, 4, 3, 2], noise: 0.15, cpuNoise: 0.01 },
    ],
  ])('%s', async (_, count, share, options) => {
    const all = await runs(count, options);
    expect(all.filter((one) => distance(one) <= 1.03).length / all.length).toBeGreaterThanOrEqual(share);
    for (const one of all) expect(one.share).toBeLessThanOrEqual(0.2);
  });

  // The neighbour slows some searches as a whole, and an exhaustive one, which takes longer, in part.
  it.each<[string, number, number, Omit<LandscapeOptions, 'seed'>]>([
    [
      'an encoder beside a neighbour that comes and goes: 98 of 100 searches, 34 %',
      60,
      0.98,
      { ...ENCODER, interaction: 0.1, neighbour: 0.7 },
    ],
    [
      'a decoder beside a neighbour that comes and goes: 90 of 100 searches, 34 %',
      100,
      0.9,
      { ...DECODER, interaction: 0.1, neighbour: 0.7 },
    ],
  ])('%s', async (_, count, share, options) => {
    const all = await runs(count, options);
    expect(all.filter((one) => distance(one) <= 1.03).length / all.length).toBeGreaterThanOrEqual(share);
    for (const one of all) expect(one.share).toBeLessThanOrEqual(0.2 * 1.7);
  });

  it('with noise of a tenth nothing that is kept is slower than the defaults', async () => {
    const all = await runs(40, { shape: [3, 4, 3, 2], effect: 0.5, interaction: 0.1, noise: 0.1 });
    const slower = all.filter(({ world, found }) => world.truth(found.chosen) > world.truth(world.space.defaults));
    expect(slower.length).toBeLessThanOrEqual(1);
    expect(all.filter((one) => distance(one) <= 1.1).length).toBeGreaterThanOrEqual(36);
  });
});

test.each<[string, Partial<LandscapeOptions>]>([
  ['noise is alike', {}],
  ['noise is five times as wide with the defaults', { noise: 0.03, unevenness: 5 }],
  ['a neighbour comes and goes', { noise: 0.03, neighbour: 0.7 }],
  ['sessions of a setting differ by 1 % for as long as they live', { noise: 0.03, luck: 0.01 }],
])('where nothing matters and %s, the defaults are kept in at least 95 of 100 searches', async (_, options) => {
  const all = await runs(200, { shape: [3, 2, 2], effect: 0, interaction: 0, noise: 0.05, ...options });
  const wrong = all.filter(({ world, found }) => keyOf(found.chosen) !== keyOf(world.space.defaults));
  expect(wrong.length).toBeLessThanOrEqual(10);
  expect(all.filter(({ found }) => found.end === 'better')).toEqual(wrong);
});

test('what is better only together is found', async () => {
  const factors = ['a', 'b'].map((name) => ({ name, options: [{ [name]: 0 }, { [name]: 1 }] }));
  const ms = ({ a, b }: Setting) => (a === 1 && b === 1 ? 70 : a === 1 || b === 1 ? 105 : 100);
  const random = seededRandom(3);
  const { chosen, end } = await searchSettings<Setting>(
    { defaults: { a: 0, b: 0 }, factors },
    {
      ...{
        measure: async (setting) => ({ ms: ms(setting) * (1 + 0.02 * random()), cpuMs: null }),
        now: () => 0,
        random,
        rounds: ROUNDS,
        renew,
      },
      ...{ budgetMs: 1, signal: NEVER, onProgress: () => undefined },
    },
  );
  expect({ chosen, end }).toEqual({ chosen: { a: 1, b: 1 }, end: 'better' });
});

test('a search whose time is over keeps the defaults unless it has told, and has begun nothing after it', async () => {
  const options = { seed: 5, shape: [3, 4, 3, 2], effect: 0.5, interaction: 0, noise: 0.03 };
  const short = await run(options, 900);
  expect(short.found).toMatchObject({ end: 'undecided', limit: 'time' });
  expect(short.found.chosen).toEqual(short.world.space.defaults);
  const longest = Math.max(...everySetting(short.world.space).map(short.world.truth));
  expect(short.world.now()).toBeLessThan(900 + 6 * longest);
  const none = await run(options, 0);
  expect(none.found).toMatchObject({ end: 'undecided', limit: 'time', measurements: 0, tried: [] });
});

test('twenty rounds tell a large difference in a small space, and five nothing, which is told of them', async () => {
  const search = (rounds: number) => {
    const random = seededRandom(4);
    return searchSettings<Setting>(
      { defaults: { a: 0 }, factors: [{ name: 'a', options: [{ a: 0 }, { a: 1 }] }] },
      {
        ...{
          measure: async ({ a }) => ({ ms: (a === 1 ? 1 : 2) + 0.02 * random(), cpuMs: null }),
          now: () => 0,
          random,
          renew,
        },
        ...{ rounds, budgetMs: 1, signal: NEVER, onProgress: () => undefined },
      },
    );
  };
  expect(await search(20)).toMatchObject({ end: 'better', chosen: { a: 1 } });
  expect(await search(5)).toMatchObject({ end: 'undecided', limit: 'rounds', measurements: 0 });
});

test('progress tells what is tried, how much is left at most, and what looks best', async () => {
  const { found, progress, world } = await run({ seed: 1, shape: [3, 2, 2], effect: 0.5, interaction: 0, noise: 0.03 });
  expect(progress).toHaveLength(found.measurements);
  expect(progress[0]).toMatchObject({ stage: 'all factors', measured: 1, best: undefined });
  expect([...new Set(progress.map(({ stage }) => stage))]).toEqual([
    'all factors',
    'the fastest',
    'against the defaults',
  ]);
  const done = progress.map((step) => step.done);
  expect(Math.max(...done)).toBeLessThanOrEqual(1);
  expect(done.at(-1)).toBeGreaterThan(done[0]!);
  expect(progress.at(-1)!.best?.ratio).toBeLessThanOrEqual(1);
  expect(progress.every(({ leftMs }) => leftMs >= 0)).toBe(true);
  // The fastest first, each beside the defaults.
  expect(found.tried.map(({ ratio }) => ratio.median)).toEqual(
    found.tried.map(({ ratio }) => ratio.median).toSorted((a, b) => a - b),
  );
  expect(found.tried.find(({ setting }) => keyOf(setting) === keyOf(world.space.defaults))?.ratio.median).toBe(1);
});

test('ends with what a measurement fails with, and with the reason of its signal', async () => {
  const world = landscape({ seed: 1, shape: [2, 2], effect: 0.5, interaction: 0, noise: 0.03 });
  const rest = {
    renew,
    now: world.now,
    random: seededRandom(1),
    rounds: ROUNDS,
    budgetMs: 1e9,
    onProgress: () => undefined,
  };
  const failing = searchSettings(world.space, {
    ...rest,
    signal: NEVER,
    measure: () => Promise.reject(new Error('no memory')),
  });
  await expect(failing).rejects.toThrow('no memory');
  const stop = new AbortController();
  const measure = async (setting: Setting) => {
    stop.abort(new Error('stopped'));
    return await world.measure(setting);
  };
  await expect(searchSettings(world.space, { ...rest, signal: stop.signal, measure })).rejects.toThrow('stopped');
});
