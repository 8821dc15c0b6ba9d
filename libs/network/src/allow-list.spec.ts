import { expect, test } from 'vitest';
import { AllowList, allowList } from './allow-list.js';

test('allows an address on the port of its entry only', () => {
  const list = new AllowList(['127.0.0.0/8:9000', '[::1]/128:9001']);
  expect([list.allows('127.1.2.3', 9000), list.allows('127.1.2.3', 9001)]).toEqual([true, false]);
  expect([list.allows('::1', 9001), list.allows('::2', 9001), list.allows('example.com', 9000)]).toEqual([
    true,
    false,
    false,
  ]);
  expect([list.hasPort(9000), list.hasPort(443)]).toEqual([true, false]);
});

test.each([
  '127.0.0.1',
  '127.0.0.1:9000',
  '127.0.0.0/8',
  '::1/128:9000',
  '[::1]/129:9000',
  '1.2.3.4/33:1',
  'a/8:1',
  '',
])('refuses %j and names it', (entry) => {
  expect(() => new AllowList([entry])).toThrow(`"${entry}" is not a network and a port`);
});

test('refuses ports that there are not', () => {
  for (const entry of ['10.0.0.0/8:0', '10.0.0.0/8:65536']) expect(() => new AllowList([entry])).toThrow(RangeError);
});

test('of a variable the entry at fault is named', () => {
  expect(allowList().parse('127.0.0.0/8:9000, [::1]/128:9000').allows('::1', 9000)).toBe(true);
  expect(allowList().safeParse('127.0.0.0/8:9000,x').error?.issues[0]?.message).toContain('"x" is not');
});
