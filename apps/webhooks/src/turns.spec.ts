import { expect, test } from 'vitest';
import { Turns } from './turns.js';

test('a receiver has so many attempts at once, another one its own', () => {
  const turns = new Turns(2, 10);
  expect([turns.enter('a', '1'), turns.enter('a', '2'), turns.enter('a', '3')]).toEqual([true, true, false]);
  expect(turns.enter('b', '4')).toBe(true);
});

test('who waits is called in order, one for each that leaves', () => {
  const turns = new Turns(1, 10);
  turns.enter('a', '1');
  expect([turns.wait('a', '2'), turns.wait('a', '3')]).toEqual([[], []]);
  expect(turns.leave('a', false)).toEqual(['2']);
  expect(turns.enter('a', '2')).toBe(true);
  expect(turns.leave('a', false)).toEqual(['3']);
});

test('who was called and found the room taken goes first the next time', () => {
  const turns = new Turns(1, 10);
  turns.enter('a', '1');
  turns.wait('a', '2');
  turns.wait('a', '3');
  expect(turns.leave('a', false)).toEqual(['2']);
  turns.enter('a', 'new');
  expect(turns.enter('a', '2')).toBe(false);
  turns.wait('a', '2');
  expect(turns.leave('a', false)).toEqual(['2']);
});

test('room that comes free before somebody waits is not missed', () => {
  const turns = new Turns(1, 10);
  turns.enter('a', '1');
  expect(turns.enter('a', '2')).toBe(false);
  turns.leave('a', false);
  expect(turns.wait('a', '2')).toEqual(['2']);
});

test('a time-out halves the limit, an answer adds one', () => {
  const turns = new Turns(4, 10);
  for (const id of ['1', '2', '3', '4']) turns.enter('a', id);
  for (const id of ['5', '6', '7']) turns.wait('a', id);
  expect(turns.leave('a', true)).toEqual([]);
  expect(turns.leave('a', true)).toEqual([]);
  expect(turns.leave('a', false)).toEqual(['5']);
});

test('one that is not there any more is skipped', () => {
  const turns = new Turns(1, 10);
  turns.enter('a', '1');
  turns.wait('a', '2');
  turns.wait('a', '3');
  expect(turns.leave('a', false)).toEqual(['2']);
  expect(turns.skip('a', '2')).toEqual(['3']);
});

test('no more are remembered than may be', () => {
  const turns = new Turns(1, 1);
  turns.enter('a', '1');
  turns.wait('a', '2');
  turns.wait('a', '3');
  expect(turns.leave('a', false)).toEqual(['2']);
  turns.enter('a', '2');
  expect(turns.leave('a', false)).toEqual([]);
});
