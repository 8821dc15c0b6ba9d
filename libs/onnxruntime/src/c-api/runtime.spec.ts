import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { openCApi } from './runtime.js';

it.runIf(process.platform === 'linux')('opening starts no thread: nothing is uploaded to anybody', () => {
  const threads = () => readdirSync('/proc/self/task').length;
  const before = threads();
  openCApi();
  expect(threads()).toBe(before);
});
