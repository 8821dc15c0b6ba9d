import { expect, test } from 'vitest';
import { secretKey } from './variables.js';

test('a key that is none is told without its value', () => {
  const { error } = secretKey().safeParse('canary');
  expect(error?.issues[0]?.message).toMatch(/^must be 32 bytes/);
  expect(JSON.stringify(error)).not.toContain('canary');
  expect(secretKey().parse('00'.repeat(32)).seal('x', 'acme')).toMatch(/^v1\./);
});
