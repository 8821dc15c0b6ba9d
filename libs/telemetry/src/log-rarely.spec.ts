import { expect, test } from 'vitest';
import { logRarely } from './log-rarely.js';
import { createLogger } from './logger.js';

test('the first error is logged, then one in 30 s', () => {
  const lines: string[] = [];
  const logger = createLogger({ name: 'api', destination: { write: (line) => void lines.push(line) } });
  let now = 0;
  const report = logRarely(logger, 'redis.error', () => now);
  for (const at of [0, 1000, 29_999, 30_000, 31_000]) {
    now = at;
    report(new Error('connection refused'));
  }
  expect(lines).toHaveLength(2);
});
