/** Which stacks are tried, in which order, and which of them are kept. */
import { describe, expect, test } from 'vitest';
import type { Row } from '../report/types.js';
import type { Candidate, Method, Stage } from '../types.js';
import { chainOf, methodsOf, stackOf } from './stack.js';
import { behindParts, followsBy, MOST_STACKS, nextStack, possibleStacks } from './stacks.js';
import { makeKeyOf } from './trial-keys.js';

function method(name: string, stage?: Stage): Method {
  return {
    name,
    description: name,
    ...(stage && { stage }),
    plan: async () => [],
    make: () => Promise.reject(new Error(name)),
  };
}

const METHODS = [
  ...[method('precision', 'precision'), method('depth', 'depth'), method('width', 'width'), method('words', 'words')],
  method('alone'),
];
const FOLLOWS = followsBy(METHODS);

function candidate(name: string, variant = name): Candidate {
  return { method: name, variant, settings: {}, seconds: 1 };
}

interface Figures {
  readonly mean: number;
  readonly ratio: number;
  readonly high?: number;
  readonly bytes?: number;
}

function row(own: Candidate, figures: Figures | undefined, changes: Partial<Row> = {}): Row {
  const { mean = 0, ratio = 1, high = ratio + 0.05, bytes = 100 } = figures ?? {};
  const choice = figures && {
    loss: { metric: 'accuracy', mean, bound: mean + 0.02, texts: 100 } as const,
    speeds: [{ batch: 1, tokens: 16, ratio, low: ratio - 0.05, high }],
    figures: {},
  };
  return {
    ...{ candidate: own, outcome: 'waiting', reason: undefined, how: undefined, notes: [], bytes, choice },
    ...{ verdict: undefined, ...changes },
  };
}

const [DEPTH, WIDTH, PRECISION, WORDS, ALONE] = ['depth', 'width', 'precision', 'words', 'alone'].map((name) =>
  candidate(name),
) as [Candidate, Candidate, Candidate, Candidate, Candidate];

test('methods follow each other in the order of their stages, one of each, and none that stands alone', () => {
  const all = possibleStacks([PRECISION, DEPTH, candidate('depth', 'other'), ALONE, WORDS], FOLLOWS);
  expect(all.map(({ variant }) => variant).sort()).toEqual(
    [
      ...['depth_precision', 'other_precision', 'depth_words', 'other_words', 'precision_words'],
      ...['depth_precision_words', 'other_precision_words'],
    ].sort(),
  );
  const whole = all.find(({ variant }) => variant === 'depth_precision_words')!;
  const before = ['depth', 'depth_precision'].map((name) => all.find(({ variant }) => variant === name) ?? DEPTH);
  expect(chainOf(whole)).toEqual([...before, whole]);
  expect(methodsOf(whole)).toBe('depth + precision + words');
});

describe('the next stack', () => {
  const next = (rows: readonly Row[]) => nextStack(rows, FOLLOWS, 0.02)?.variant;

  test('is that of the largest product of speeds, whatever the order of the rows', () => {
    const rows = [
      row(PRECISION, { mean: 0.001, ratio: 1.5 }),
      row(DEPTH, { mean: 0.01, ratio: 2 }),
      row(candidate('depth', 'deeper'), { mean: 0.015, ratio: 3 }),
      row(ALONE, { mean: 0, ratio: 50 }),
    ];
    expect(next(rows)).toBe('deeper_precision');
    expect(next([...rows].reverse())).toBe('deeper_precision');
    const tried = row(stackOf(rows[2]!.candidate, PRECISION), undefined, { outcome: 'refused' });
    expect(next([...rows, tried])).toBe('depth_precision');
  });

  test.each<[string, Row]>([
    ['that loses more than is allowed', row(DEPTH, { mean: 0.03, ratio: 3 })],
    ['that is slower', row(DEPTH, { mean: 0, ratio: 0.8, high: 0.9 })],
    ['that could not be made', row(DEPTH, undefined, { outcome: 'refused' })],
    ['that was left out', row(DEPTH, undefined, { outcome: 'left_out' })],
    ['that loses too much beside the other', row(DEPTH, { mean: 0.015, ratio: 3 })],
  ])('has no part %s', (_, other) => {
    expect(next([other, row(PRECISION, { mean: 0.01, ratio: 1.5 })])).toBeUndefined();
  });

  test('goes on with a stack that is ahead, by what was measured of it, and with none that is not', () => {
    const rows = [
      row(DEPTH, { mean: 0.004, ratio: 2 }),
      row(WIDTH, { mean: 0.004, ratio: 1.4 }),
      row(PRECISION, { mean: 0.004, ratio: 1.1 }),
    ];
    expect(next(rows)).toBe('depth_width');
    const both = stackOf(DEPTH, WIDTH);
    expect(next([...rows, row(both, { mean: 0.01, ratio: 2.5 })])).toBe('depth_width_precision');
    expect(next([...rows, row(both, { mean: 0.017, ratio: 2.5 })])).toBe('depth_precision');
    expect(next([...rows, row(both, { mean: 0, ratio: 2.5 }, { outcome: 'outdone' })])).toBe('depth_precision');
  });

  test('is none when as many as may be were tried', () => {
    const depths = Array.from({ length: MOST_STACKS + 2 }, (_, n) => candidate('depth', `depth${n}`));
    let rows = [PRECISION, ...depths].map((own) => row(own, { mean: 0, ratio: 2 }));
    for (let n = 0; n < MOST_STACKS; n++) {
      const stack = nextStack(rows, FOLLOWS, 0.01)!;
      rows = [...rows, row(stack, undefined, { outcome: 'failed' })];
    }
    expect(nextStack(rows, FOLLOWS, 0.01)).toBeUndefined();
  });
});

describe('a stack is held against its parts', () => {
  const behind = (stack: Figures, depth: Figures, precision: Figures) => {
    const rows = new Map([row(DEPTH, depth), row(PRECISION, precision)].map((own) => [own.candidate, own]));
    return behindParts(row(stackOf(DEPTH, PRECISION), stack), (own) => rows.get(own)!, 0.02);
  };
  const [depth, precision] = [
    { mean: 0.01, ratio: 2, bytes: 50 },
    { mean: 0, ratio: 1.5, bytes: 25 },
  ];

  test('faster than both it gets its verdict, and as fast in fewer bytes', () => {
    expect(behind({ mean: 0.015, ratio: 2.8, bytes: 90 }, depth, precision)).toBeUndefined();
    expect(behind({ mean: 0.015, ratio: 2, bytes: 12 }, depth, precision)).toBeUndefined();
  });

  test('no faster than one of them it is outdone', () => {
    const same = { mean: 0.01, ratio: 2.01, bytes: 50 };
    expect(behind(same, depth, precision)).toEqual({ outcome: 'outdone', reason: 'depth alone is as good' });
    const slower = { mean: 0.01, ratio: 1.9, bytes: 12 };
    expect(behind(slower, depth, precision)).toMatchObject({ reason: 'depth alone is as good' });
    const beside = { mean: 0.01, ratio: 2, bytes: 12 };
    expect(behind(beside, depth, { ...precision, ratio: 2.4 })).toMatchObject({ reason: 'precision alone is as good' });
  });

  test('with a larger loss than is allowed it is refused, however fast it is', () => {
    expect(behind({ mean: 0.021, ratio: 9, bytes: 1 }, depth, precision)).toMatchObject({ outcome: 'refused' });
  });
});

test('a trial of a stack is known by what was before, in its order', () => {
  const common = { original: 'a', data: 'b', versions: { shoal: '1', onnxruntime: '1' } };
  const key = (own: Candidate) => makeKeyOf(common, own, undefined);
  const changed = { ...DEPTH, settings: { layers: 3 } };
  const alike = { ...stackOf(DEPTH, WIDTH), variant: 'x' };
  const all = [
    ...[DEPTH, WIDTH, stackOf(DEPTH, WIDTH), stackOf(WIDTH, DEPTH), stackOf(changed, WIDTH)],
    ...[stackOf(stackOf(DEPTH, WIDTH), WORDS), stackOf(stackOf(DEPTH, PRECISION), WORDS)],
    ...[alike, { ...stackOf(changed, WIDTH), variant: 'x' }, { ...WIDTH, variant: 'x' }],
  ].map(key);
  expect(new Set(all).size).toBe(all.length);
  expect(key(stackOf(DEPTH, WIDTH))).toBe(key(stackOf({ ...DEPTH, seconds: 9 }, WIDTH)));
});
