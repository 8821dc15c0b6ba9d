/** What is forgotten elsewhere holds up nobody but who asks for the same again. */
import { expect, test } from 'vitest';
import type { AskedPage } from '../teacher/types.js';
import { Relay } from './relay.js';

const page = (key: string): AskedPage => ({ key, questions: ['a'], parameters: {} });

/** One whose teacher forgets when `forget` is called. */
function open() {
  const forgetting: (() => void)[] = [];
  const [asked, given, faults]: [string[], number[], unknown[]] = [[], [], []];
  const relay = new Relay({
    ask: async ({ key }) => {
      asked.push(key);
      const taken = () => new Promise<void>((resolve) => void forgetting.push(resolve));
      return { outputs: [{ kind: 'score', score: 1 }], taken };
    },
    signal: new AbortController().signal,
    send: ({ number }) => void given.push(number),
    onError: (error) => void faults.push(error),
    onWaiting: () => undefined,
  });
  return { relay, asked, given, faults, forgetting };
}

test('other pages are asked for while some are forgotten, all of these at once', async () => {
  const { relay, given, faults, forgetting } = open();
  for (const number of [0, 1]) relay.take({ kind: 'ask', number, page: page(`page ${number}`) });
  await expect.poll(() => given).toEqual([0, 1]);
  for (const number of [0, 1]) relay.take({ kind: 'taken', number });
  await expect.poll(() => forgetting.length).toBe(2);
  relay.take({ kind: 'ask', number: 2, page: page('page 2') });
  await expect.poll(() => given).toEqual([0, 1, 2]);
  expect(faults).toEqual([]);
});

test('a page that is asked for anew is forgotten first, and the end comes behind all of it', async () => {
  const { relay, asked, given, faults, forgetting } = open();
  relay.take({ kind: 'ask', number: 0, page: page('same') });
  await expect.poll(() => given).toEqual([0]);
  relay.take({ kind: 'taken', number: 0 });
  relay.take({ kind: 'ask', number: 1, page: page('same') });
  relay.take({ kind: 'ask', number: 2, page: page('other') });
  await expect.poll(() => given).toEqual([0, 2]);
  forgetting[0]!();
  await expect.poll(() => given).toEqual([0, 2, 1]);
  expect(asked).toEqual(['same', 'other', 'same']);

  relay.take({ kind: 'taken', number: 1 });
  let ended = false;
  const end = relay.end().then(() => {
    ended = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect([ended, forgetting.length]).toEqual([false, 2]);
  forgetting[1]!();
  await end;
  expect(faults).toEqual([]);
});
