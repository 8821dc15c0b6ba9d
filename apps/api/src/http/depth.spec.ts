import { describe, expect, test } from 'vitest';
import { isDeeperThan } from './depth.js';

const deeper = (json: string, limit: number) => isDeeperThan(Buffer.from(json), limit);

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
