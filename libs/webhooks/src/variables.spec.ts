import { expect, test } from 'vitest';
import { allowList, secretKey } from './variables.js';

test('a key that is none is told without its value', () => {
  const { error } = secretKey().safeParse('canary');
  expect(error?.issues[0]?.message).toMatch(/^must be 32 bytes/);
  expect(JSON.stringify(error)).not.toContain('canary');
  expect(secretKey().parse('00'.repeat(32)).seal('x', 'acme')).toMatch(/^v1\./);
});

test('the entry at fault is named', () => {
  expect(allowList().parse('127.0.0.0/8:9000, [::1]/128:9000').allows('::1', 9000)).toBe(true);
  expect(allowList().safeParse('127.0.0.0/8:9000,x').error?.issues[0]?.message).toContain('"x" is not');
});
