import { describe, expect, test } from 'vitest';
import { addresses, boolean, duration, durations, integer, list, port, settings, url } from './variables.js';

describe('integer', () => {
  test('takes whole numbers within its bounds, both included', () => {
    const schema = integer({ min: 1, max: 9 });
    expect(['1', '9'].map((value) => schema.parse(value))).toEqual([1, 9]);
    for (const value of ['0', '10', '1.5', '1e1', ' 1', 'one', '0x1'])
      expect(schema.safeParse(value).success).toBe(false);
  });
});

test('port takes 0 to 65535', () => {
  expect(port().parse('0')).toBe(0);
  expect(port().safeParse('65536').success).toBe(false);
});

describe('duration', () => {
  test.each([
    ['250', 250],
    ['250ms', 250],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
  ])('%s is %i ms', (value, ms) => {
    expect(duration().parse(value)).toBe(ms);
  });

  test('refuses other units, signs and spans outside its bounds', () => {
    for (const value of ['5 s', '-1s', '1w', 's']) expect(duration().safeParse(value).success).toBe(false);
    expect(duration({ min: 1000 }).safeParse('999ms').success).toBe(false);
  });
});

test('durations takes time spans, and tells what they are', () => {
  expect(durations().parse('0, 5s,5m')).toEqual([0, 5000, 300_000]);
  expect(durations().safeParse('5s,').error?.issues[0]?.message).toContain('must be a time span');
});

test('boolean takes the usual words in any case and nothing else', () => {
  expect(['true', '1', 'Yes', 'on'].map((value) => boolean().parse(value))).toEqual([true, true, true, true]);
  expect(['false', '0', 'No', 'off'].map((value) => boolean().parse(value))).toEqual([false, false, false, false]);
  expect(boolean().safeParse('maybe').success).toBe(false);
});

test('list drops spaces and empty entries', () => {
  expect(list().parse(' a,, b ,')).toEqual(['a', 'b']);
});

test('addresses takes addresses, networks and the names of some', () => {
  const value = '10.0.0.0/8, 192.168.1.7,loopback, fd00::/8';
  expect(addresses().parse(value)).toEqual(['10.0.0.0/8', '192.168.1.7', 'loopback', 'fd00::/8']);
  for (const wrong of ['proxy.example', '10.0.0.0/33', '10.0.0', 'fd00::/129', '*', '10.0.0.0/8/8', '10.0.0.0/']) {
    expect(addresses().safeParse(wrong).success, wrong).toBe(false);
  }
});

test('settings takes names and values, and names what is neither', () => {
  expect(settings().parse('use_tf32=0, trt_engine_cache_path = /a=b ,')).toEqual({
    use_tf32: '0',
    trt_engine_cache_path: '/a=b',
  });
  const { error } = settings().safeParse('use_tf32, =1, a=1');
  expect(error?.issues[0]?.message).toBe('must be name=value, separated by commas; not so: use_tf32, =1');
});

test('url takes its protocols only and keeps what was written', () => {
  const redis = url(['redis', 'rediss']);
  expect(redis.parse('redis://:secret@host:6379/1')).toBe('redis://:secret@host:6379/1');
  for (const value of ['http://host', 'localhost:6379', 'redis:', ''])
    expect(redis.safeParse(value).success).toBe(false);
});
