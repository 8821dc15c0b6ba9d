import { describe, expect, test } from 'vitest';
import { overLimit, parseJsonFile } from './json-limits.js';

const deeper = (json: string, depth: number) =>
  overLimit(Buffer.from(json), { depth, fields: 1e9, lists: 1e9 }) === 'depth';

describe('nesting of JSON text', () => {
  test('counts arrays and objects together', () => {
    expect(deeper('[{"a":[1]}]', 3)).toBe(false);
    expect(deeper('[{"a":[1]}]', 2)).toBe(true);
  });

  test('is not the number of brackets', () => {
    expect(deeper(`[${'[],{},'.repeat(500)}0]`, 2)).toBe(false);
  });

  test('leaves out brackets in strings, also behind escaped quotes and backslashes', () => {
    expect(deeper(String.raw`["[[[[", "\"[[[[", "\\", "[\\\"[["]`, 1)).toBe(false);
    expect(deeper(String.raw`["\\", [1]]`, 1)).toBe(true);
  });

  test('of text that ends inside a string or an escape is found all the same', () => {
    expect(deeper('["[[[', 1)).toBe(false);
    expect(deeper('["\\', 1)).toBe(false);
  });
});

test('objects and their fields are counted, in strings they are not', () => {
  const over = (json: string, fields: number) => overLimit(Buffer.from(json), { depth: 100, fields, lists: 1e9 });
  const json = JSON.stringify({ a: 1, b: [{}, { c: '{{{::::' }], 'd:{': [] });
  expect([over(json, 7), over(json, 6)]).toEqual([null, 'fields']);
});

test('arrays are counted', () => {
  const over = (lists: number) => overLimit(Buffer.from('[[],[["["]]]'), { depth: 100, fields: 0, lists });
  expect([over(4), over(3)]).toEqual([null, 'lists']);
});

test('values are counted, in strings they are not', () => {
  const over = (values: number) =>
    overLimit(Buffer.from('[1,{"a":",,[","b":[]}]'), { depth: 100, fields: 9, lists: 9, values });
  expect([over(5), over(4)]).toEqual([null, 'values']);
});

test('files are parsed, or refused in words that follow their name', () => {
  const parse = (json: string, most?: number) => parseJsonFile(Buffer.from(json), most);
  expect(parse('{"ü":[1]}')).toEqual({ ü: [1] });
  expect(() => parse('{"a":')).toThrow(/^is not valid JSON: see line 1, column 6$/);
  expect(parse(`${'['.repeat(64)}${']'.repeat(64)}`)).toHaveLength(1);
  expect(() => parse('['.repeat(65))).toThrow(/^is not valid: it is nested more than 64 deep$/);
  expect(() => parse('[1,2,3]', 2)).toThrow(/^is not valid: it has more than 2 values$/);
});
