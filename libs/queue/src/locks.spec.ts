import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Locks } from './locks.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Locks whose renewals are written down; those of `refused` chunks fail. */
function open() {
  const renewed: string[][] = [];
  const refused = new Set<string>();
  const locks = new Locks(
    {
      extendJobLocks: async (ids, tokens) => {
        renewed.push(ids.map((id, n) => `${id} ${tokens[n]}`));
        return ids.filter((id) => refused.has(id));
      },
    },
    () => undefined,
  );
  locks.start();
  const hold = (id: string, token: string) => {
    const lost: string[] = [];
    const held = locks.hold({ id, token, tag: 0 });
    void held.lost.then(() => lost.push(id));
    return { ...held, lost };
  };
  return { locks, renewed, refused, hold };
}

test('the locks that are held are renewed, all at once and long before they end, until they are released', async () => {
  const { renewed, hold } = open();
  const one = hold('1', 'a');
  hold('2', 'b');
  await vi.advanceTimersByTimeAsync(2500);
  one.release();
  await vi.advanceTimersByTimeAsync(2500);
  expect(renewed).toEqual([['1 a', '2 b'], ['2 b']]);
});

test('a lock that cannot be renewed is lost, and no other', async () => {
  const { renewed, refused, hold } = open();
  const [one, two] = [hold('1', 'a'), hold('2', 'b')];
  refused.add('1');
  await vi.advanceTimersByTimeAsync(5000);
  expect([one.lost, two.lost]).toEqual([['1'], []]);
  expect(renewed).toEqual([['1 a', '2 b'], ['2 b']]);
});

test('a chunk that is fetched again was lost, and the end of the old run leaves the new lock alone', async () => {
  const { renewed, hold } = open();
  const stale = hold('1', 'a');
  const fresh = hold('1', 'b');
  await vi.advanceTimersByTimeAsync(0);
  expect([stale.lost, fresh.lost]).toEqual([['1'], []]);
  stale.release();
  await vi.advanceTimersByTimeAsync(2500);
  expect(renewed).toEqual([['1 b']]);
});
