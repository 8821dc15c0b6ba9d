import { expect, test } from 'vitest';
import { RunGate } from './run-gate.js';

function open(options: { readonly places: number; readonly sideBySide?: number }) {
  const clock = { at: 0, now: () => clock.at };
  const gate = new RunGate({ ...options, clock });
  const entered: string[] = [];
  const enter = (name: string, alone = false) =>
    gate.enter(alone).then((place) => {
      entered.push(name);
      return place;
    });
  return { clock, entered, enter };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('as many passes as there are places, first come, first served', async () => {
  const { entered, enter } = open({ places: 2 });
  const first = await enter('a');
  void enter('b');
  void enter('c');
  void enter('d');
  await settle();
  expect(entered).toEqual(['a', 'b']);
  first.leave();
  await settle();
  expect(entered).toEqual(['a', 'b', 'c']);
});

test('a place is left once, and tells the work it was each time', async () => {
  const { clock, entered, enter } = open({ places: 2 });
  const place = await enter('a');
  clock.at = 2000;
  expect(place.leave()).toBe(1);
  clock.at = 9000;
  expect(place.leave()).toBe(1);
  for (const name of ['b', 'c', 'd']) void enter(name);
  await settle();
  expect(entered).toEqual(['a', 'b', 'c']);
});

test('passes that take turns share the time of their device', async () => {
  const { clock, enter } = open({ places: 2, sideBySide: 1 });
  const [one, two] = await Promise.all([enter('a'), enter('b')]);
  clock.at = 1000;
  expect([one.leave(), two.leave()]).toEqual([0.5, 0.5]);
});

test('a pass that must be alone waits for the others, and they for it', async () => {
  const { entered, enter } = open({ places: 4 });
  const first = await enter('a');
  const alone = enter('suspect', true);
  void enter('b');
  await settle();
  expect(entered).toEqual(['a']);
  first.leave();
  await settle();
  expect(entered).toEqual(['a', 'suspect']);
  (await alone).leave();
  await settle();
  expect(entered).toEqual(['a', 'suspect', 'b']);
});

test('a pass of several threads takes as many places, waits for them in its turn, and works as much', async () => {
  const clock = { at: 0, now: () => clock.at };
  const gate = new RunGate({ places: 4, clock });
  const wide = gate.forThreads(3);
  expect([wide.places, wide.sideBySide]).toEqual([1, 1]);
  const entered: string[] = [];
  const note = (name: string) => (place: Awaited<ReturnType<typeof gate.enter>>) => {
    entered.push(name);
    return place;
  };
  const [one, two] = await Promise.all([gate.enter(false).then(note('a')), gate.enter(false).then(note('b'))]);
  const three = wide.enter(false).then(note('wide'));
  void gate.enter(false).then(note('c'));
  await settle();
  expect(entered).toEqual(['a', 'b']);
  one.leave();
  await settle();
  expect(entered).toEqual(['a', 'b', 'wide']);
  clock.at = 1000;
  expect([two.leave(), (await three).leave()]).toEqual([0.25, 0.75]);
  await settle();
  expect(entered).toEqual(['a', 'b', 'wide', 'c']);
});

test('more threads than there are places take all of them', async () => {
  const { clock } = open({ places: 2 });
  const gate = new RunGate({ places: 2, clock }).forThreads(5);
  expect(gate.places).toBe(1);
  (await gate.enter(false)).leave();
});
