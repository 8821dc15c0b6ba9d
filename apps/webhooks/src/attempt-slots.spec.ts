import { describe, expect, test } from 'vitest';
import { AttemptSlots, type SlotLimits, type SlotUse, type Turn } from './attempt-slots.js';

const lane = (receiver: string, tenant = 't') => ({ tenant, receiver });
const ids = (turns: readonly Turn[]) => turns.map(({ id }) => id);
const slotsOf = (limits: Partial<SlotLimits>) =>
  new AttemptSlots({ total: 1000, perReceiver: 2, remembered: 10, ...limits });

describe('a receiver', () => {
  test('has so many attempts at once, another one its own', () => {
    const slots = slotsOf({});
    expect(['1', '2', '3'].map((id) => slots.enter(lane('a'), id))).toEqual([true, true, false]);
    expect(slots.enter(lane('b'), '4')).toBe(true);
  });

  test('that somebody waits for calls in order, one for each that leaves', () => {
    const slots = slotsOf({ perReceiver: 1 });
    slots.enter(lane('a'), '1');
    expect([slots.wait(lane('a'), '2'), slots.wait(lane('a'), '3')]).toEqual([[], []]);
    expect(slots.leave(lane('a'), 'answered')).toEqual([{ tenant: 't', receiver: 'a', id: '2' }]);
    expect(slots.enter(lane('a'), '2')).toBe(true);
    expect(ids(slots.leave(lane('a'), 'answered'))).toEqual(['3']);
  });

  test('calls first who was called and found the room taken', () => {
    const slots = slotsOf({ perReceiver: 1 });
    slots.enter(lane('a'), '1');
    slots.wait(lane('a'), '2');
    slots.wait(lane('a'), '3');
    expect(ids(slots.leave(lane('a'), 'answered'))).toEqual(['2']);
    slots.enter(lane('a'), 'new');
    expect(slots.enter(lane('a'), '2')).toBe(false);
    slots.wait(lane('a'), '2');
    expect(ids(slots.leave(lane('a'), 'answered'))).toEqual(['2']);
  });

  test('whose room came free before somebody waits calls at once', () => {
    const slots = slotsOf({ perReceiver: 1 });
    slots.enter(lane('a'), '1');
    expect(slots.enter(lane('a'), '2')).toBe(false);
    slots.leave(lane('a'), 'answered');
    expect(ids(slots.wait(lane('a'), '2'))).toEqual(['2']);
  });

  test('has its limit halved by a time-out, and one more after an answer; what was not sent says nothing', () => {
    const slots = slotsOf({ perReceiver: 4 });
    for (const id of ['1', '2', '3', '4']) slots.enter(lane('a'), id);
    for (const id of ['5', '6', '7']) slots.wait(lane('a'), id);
    expect(slots.leave(lane('a'), 'timed out')).toEqual([]);
    expect(slots.leave(lane('a'), 'timed out')).toEqual([]);
    expect(slots.leave(lane('a'), 'unused')).toEqual([]);
    expect(ids(slots.leave(lane('a'), 'unused'))).toEqual(['5']);
    slots.enter(lane('a'), '5');
    expect(ids(slots.leave(lane('a'), 'answered'))).toEqual(['6', '7']);
  });

  test('skips who is not there any more', () => {
    const slots = slotsOf({ perReceiver: 1 });
    slots.enter(lane('a'), '1');
    slots.wait(lane('a'), '2');
    slots.wait(lane('a'), '3');
    expect(ids(slots.leave(lane('a'), 'answered'))).toEqual(['2']);
    expect(ids(slots.skip(lane('a'), '2'))).toEqual(['3']);
  });
});

describe('a tenant', () => {
  /** Enters for ever new receivers; how many were taken. */
  const grab = (slots: AttemptSlots, tenant: string, most = Number.POSITIVE_INFINITY) => {
    let taken = 0;
    while (taken < most && slots.enter(lane(`r${taken}`, tenant), `${tenant}${taken}`)) taken += 1;
    return taken;
  };

  test('takes half of the slots at most, however many receivers it has', () => {
    const slots = slotsOf({ total: 256 });
    expect(grab(slots, 'hog')).toBe(128);
    expect(grab(slots, 'other')).toBe(64);
    expect(grab(slots, 'third')).toBe(32);
  });

  test('shares evenly with others that want as much, and leaves some', () => {
    const slots = slotsOf({ total: 256 });
    const active = new Map([...'abc'].map((tenant) => [tenant, 0]));
    for (let n = 0; n < 500; n++) {
      for (const tenant of 'abc') {
        const own = lane(`r${n}`, tenant);
        if (slots.enter(own, `${tenant}${n}`)) active.set(tenant, active.get(tenant)! + 1);
      }
    }
    expect([...active.values()]).toEqual([64, 64, 64]);
  });

  /** A tenant with one slot, and what waits for it: `[receiver, id]`. */
  const queueUp = (slots: AttemptSlots, waiting: readonly (readonly [receiver: string, id: string])[]) => {
    slots.enter(lane('first'), '0');
    for (const [receiver, id] of waiting) {
      expect(slots.enter(lane(receiver), id)).toBe(false);
      slots.wait(lane(receiver), id);
    }
  };
  /** The order in which they are called where each one that enters ends in this way. */
  const orderOf = (slots: AttemptSlots, use: SlotUse) => {
    const order: string[] = [];
    for (let turns = slots.leave(lane('first'), use); turns.length > 0; turns = slots.leave(turns[0]!, use)) {
      expect(slots.enter(turns[0]!, turns[0]!.id)).toBe(true);
      order.push(turns[0]!.id);
    }
    return order;
  };

  test('that waits for its share is called for its receivers by turns', () => {
    const slots = slotsOf({ total: 2 });
    queueUp(slots, [
      ['a', 'a1'],
      ['a', 'a2'],
      ['b', 'b1'],
      ['b', 'b2'],
    ]);
    expect(orderOf(slots, 'timed out')).toEqual(['a1', 'b1', 'a2', 'b2']);
  });

  test('that was called for a receiver and found its share taken is called for it first the next time', () => {
    const slots = slotsOf({ total: 2 });
    queueUp(slots, [
      ['a', 'a1'],
      ['b', 'b1'],
      ['c', 'c1'],
    ]);
    expect(ids(slots.leave(lane('first'), 'timed out'))).toEqual(['a1']);
    expect(slots.enter(lane('new'), 'n')).toBe(true);
    slots.wait(lane('a'), 'a1');
    expect(ids(slots.leave(lane('new'), 'timed out'))).toEqual(['a1']);
  });

  test('is called for a receiver that answers for a while, and then for the next one', () => {
    const slots = slotsOf({ total: 2, remembered: 1000 });
    const many = (receiver: string) => Array.from({ length: 100 }, (_, n) => [receiver, `${receiver}${n}`] as const);
    queueUp(slots, [...many('a'), ...many('b')]);
    const order = orderOf(slots, 'answered').map((id) => id[0]);
    const runs = order
      .join('')
      .match(/a+|b+/g)
      ?.map(({ length }) => length);
    expect(runs).toEqual([32, 32, 32, 32, 32, 32, 4, 4]);
  });

  test('that waits for its share is called when another one leaves', () => {
    const slots = slotsOf({ total: 4 });
    expect(grab(slots, 'hog')).toBe(2);
    expect(grab(slots, 'other')).toBe(1);
    expect(slots.wait(lane('x', 'hog'), '9')).toEqual([]);
    expect(ids(slots.leave(lane('r0', 'other'), 'answered'))).toEqual([]);
    expect(ids(slots.leave(lane('r0', 'hog'), 'answered'))).toEqual(['9']);
  });

  test('has so many remembered, over all of its receivers', () => {
    const slots = slotsOf({ perReceiver: 1, remembered: 2 });
    for (const receiver of ['a', 'b', 'c']) {
      slots.enter(lane(receiver), `${receiver}1`);
      slots.wait(lane(receiver), `${receiver}2`);
    }
    expect(slots.waiting('t')).toBe(2);
    expect(slots.leave(lane('c'), 'answered')).toEqual([]);
  });
});

test('nothing is kept of who has left, was skipped, or was called and never came', () => {
  const slots = slotsOf({ perReceiver: 1 });
  for (let n = 0; n < 20; n++) {
    const own = lane(`r${n}`, `t${n % 3}`);
    slots.enter(own, '1');
    slots.wait(own, '2');
    slots.wait(own, '3');
    const [called] = slots.leave(own, 'timed out');
    const [instead] = slots.skip(own, called!.id);
    expect(instead?.id).toBe('3');
    if (n % 2 === 0) slots.skip(own, instead!.id);
  }
  expect(slots.tenants).toBe(0);
});
