import { expect, it } from 'vitest';
import { inTurn, isPreceded, nextTurns } from './turns.js';

/** `text`: tenant and rank, as `a3`. `made`: tokens since its claim, behind `written`. */
function row(text: string, tag: number, { made = 1, written = 0, strikes = 0 } = {}) {
  const [tenant = '', rank] = text;
  const item = { tenant, rank: Number(rank), strikes, written, lock: { tag } };
  return { item, answer: { length: written + made } };
}

it("keeps the fair order among tenants; in each one's places its best rank comes first, whatever it came back to", () => {
  const [back, other, urgent, last] = [row('a3', 1), row('b2', 2), row('a1', 3), row('a3', 4)];
  expect(inTurn([last, urgent, other, back])).toEqual([urgent, other, back, last]);
});

it('is preceded by what has the better place, or the better rank among those of its tenant that wait', () => {
  const waiting = [row('a3', 5), row('b2', 7)];
  const by = (tenant: string, rank: number, tag: number) => isPreceded(waiting, { tenant, rank, tag });
  expect([by('c', 3, 4), by('c', 1, 6), by('a', 1, 9), by('b', 1, 9), by('b', 3, 9)]).toEqual([
    true,
    false,
    true,
    true,
    false,
  ]);
  expect(isPreceded([row('a1', 5)], { tenant: 'a', rank: 3, tag: 1 })).toBe(false);
  expect(isPreceded([], { tenant: 'a', rank: 1, tag: 1 })).toBe(false);
});

it('lets rows of the lowest rank make way for as many urgent ones of their tenant, also behind others that wait', () => {
  const running = [row('a2', 1), row('a3', 2), row('a3', 3), row('b3', 4)];
  const [others, ...urgent] = [row('c1', 5), row('a1', 6), row('a1', 7), row('a1', 8), row('a1', 9)];
  const { starts, leave } = nextTurns([others!, ...urgent], running, [], 0);
  expect(starts).toEqual(urgent.slice(0, 3));
  expect(leave).toEqual([running[2], running[1], running[0]]);
});

it('gives what is free to the first in turn, and a row that is left to whom it was left for', () => {
  const running = [row('a3', 1)];
  const [first, second, urgent] = [row('b2', 2), row('b2', 3), row('a1', 4)];
  expect(nextTurns([first, second, urgent], running, [], 1)).toEqual({ starts: [first, urgent], leave: running });
});

it.each([
  [{ made: 0 }, false],
  [{ made: 1 }, true],
  [{ made: 9, written: 10 }, false],
  [{ made: 10, written: 10 }, true],
  [{ made: 255, written: 1000 }, false],
  [{ made: 256, written: 1000 }, true],
])(
  'a row with %o may make way: %s, so that each time it gets on by as much as it went through again',
  (tokens, may) => {
    const { leave } = nextTurns([row('a1', 2)], [row('a3', 1, tokens)], [], 0);
    expect(leave.length).toBe(Number(may));
  },
);

it('starts a suspect alone among what could be blamed for its death, and nothing beside it', () => {
  const suspect = row('a2', 2, { strikes: 1 });
  const [before, behind] = [row('a2', 1), row('a2', 3)];
  const starts = (waiting: (typeof before)[], unproven: (typeof before)[]) =>
    nextTurns(waiting, [], unproven, 4).starts;
  expect(starts([before, suspect, behind], [])).toEqual([before]);
  expect(starts([suspect, behind], [before])).toEqual([]);
  expect(starts([suspect, behind], [])).toEqual([suspect]);
  expect(starts([behind], [suspect])).toEqual([]);
});
