import { expect, test } from 'vitest';
import { liveSecrets, rotate } from './secrets.js';
import type { SealedSecret } from './types.js';

const HOUR = 3_600_000;

test('the secret before signs on for the overlap, and no longer', () => {
  const rotated = rotate([{ sealed: 'a', until: null }], 'b', HOUR, 0);
  expect(liveSecrets(rotated, HOUR - 1).map(({ sealed }) => sealed)).toEqual(['b', 'a']);
  expect(liveSecrets(rotated, HOUR).map(({ sealed }) => sealed)).toEqual(['b']);
});

test('without an overlap it ends at once', () => {
  expect(rotate([{ sealed: 'a', until: null }], 'b', 0, 7)).toEqual([{ sealed: 'b', until: null }]);
});

test('what was replaced before keeps its own end', () => {
  const before: SealedSecret[] = [
    { sealed: 'b', until: null },
    { sealed: 'a', until: 5 },
  ];
  expect(rotate(before, 'c', HOUR, 0)[2]).toEqual({ sealed: 'a', until: 5 });
});

test('at most ten overlap', () => {
  let secrets: SealedSecret[] = [];
  for (let n = 0; n <= 10; n++) secrets = rotate(secrets, String(n), HOUR, 0);
  expect(liveSecrets(secrets, 0)).toHaveLength(11);
  expect(() => rotate(secrets, 'x', HOUR, 0)).toThrow('10 secrets');
  expect(rotate(secrets, 'x', HOUR, HOUR)).toHaveLength(2);
});
