import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { inTurn } from './turns.js';

async function record(device: string): Promise<string[]> {
  const events: string[] = [];
  const work = (name: string, fails = false) =>
    inTurn(device, async () => {
      events.push(`${name} begins`);
      await setImmediate();
      events.push(`${name} ends`);
      if (fails) throw new Error(name);
    });
  const results = await Promise.allSettled([work('a', true), work('b'), work('c')]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
  return events;
}

it('one after the other on WebGPU, whether or not the one before has failed', async () => {
  expect(await record('webgpu')).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
});

it('at once elsewhere', async () => {
  for (const device of ['cpu', 'cuda:0']) {
    expect((await record(device)).slice(0, 3)).toEqual(['a begins', 'b begins', 'c begins']);
  }
});
