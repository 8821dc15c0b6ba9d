/** A teacher elsewhere is looked for by whoever needs an answer first. */
import type { Model } from '@shoal/models';
import { expect, test } from 'vitest';
import { askElsewhere } from './ask-elsewhere.js';

const MODEL = { name: 'm' } as Model;
const page = (key: string) => ({ key, questions: ['a'], parameters: {} });

/** One that says what is done to it, and is found when `find` says so. */
function open(find: () => Promise<void>) {
  const log: string[] = [];
  const ask = askElsewhere(
    {
      name: 'elsewhere',
      check: () => undefined,
      async find() {
        log.push('find');
        await find();
      },
      async answer(_, { key }) {
        log.push(key);
        return { outputs: [], taken: () => Promise.resolve() };
      },
    },
    MODEL,
  );
  return { log, ask: (key: string) => ask(page(key), new AbortController().signal) };
}

test('once, before the first answer, by pages that are asked for at once', async () => {
  const { log, ask } = open(() => Promise.resolve());
  expect(log).toEqual([]);
  await Promise.all([ask('a'), ask('b')]);
  await ask('c');
  expect(log).toEqual(['find', 'a', 'b', 'c']);
});

test('where it is not there nothing is asked, and it is looked for again by who asks next', async () => {
  let isThere = false;
  const { log, ask } = open(() => (isThere ? Promise.resolve() : Promise.reject(new Error('away'))));
  const both = await Promise.allSettled([ask('a'), ask('b')]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(log).toEqual(['find']);
  isThere = true;
  await ask('a');
  expect(log).toEqual(['find', 'find', 'a']);
});
