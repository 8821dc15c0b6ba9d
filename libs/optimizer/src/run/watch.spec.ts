import { expect, test } from 'vitest';
import { answeredWords } from './watch.js';

test('how far the answers are is told with their rate and the time that is left, once there is one', () => {
  expect(answeredWords({ done: 12_000, total: 50_000, perSecond: 849.6 })).toBe(
    '12,000 of 50,000 texts are answered, 850/s, 45 s left',
  );
  expect(answeredWords({ done: 1000, total: 1300, perSecond: 2.04 })).toBe(
    '1,000 of 1,300 texts are answered, 2.0/s, 2 min 28 s left',
  );
  expect(answeredWords({ done: 1000, total: 1300, perSecond: 0 })).toBe('1,000 of 1,300 texts are answered');
});
