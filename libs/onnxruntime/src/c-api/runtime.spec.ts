import { readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { doubling, floats } from '../testing/graphs.js';
import { collectGarbage } from '../testing/memory.js';
import { openCApi } from './runtime.js';

it.runIf(process.platform === 'linux')('opening starts no thread: nothing is uploaded to anybody', () => {
  const threads = () => readdirSync('/proc/self/task').length;
  const before = threads();
  openCApi();
  expect(threads()).toBe(before);
});

it('the library stays in memory when the garbage collector has run', async () => {
  const runtime = openCApi();
  for (let i = 0; i < 5; i++) {
    collectGarbage();
    await setImmediate();
  }
  const session = await runtime.createSession(doubling());
  expect((await session.run({ x: floats(1) })).z).toEqual(floats(4));
  await session.release();
});
