import { expect, test } from 'vitest';
import { SharedBudget } from './shared-budget.js';

/** How much a tenant gets, one by one. */
function fill(budget: SharedBudget, tenant: string): number {
  let taken = 0;
  while (budget.take(tenant, 1)) taken += 1;
  return taken;
}

test('a tenant alone gets half, and the next ones what leaves as much free', () => {
  const budget = new SharedBudget(120);
  expect(fill(budget, 'a')).toBe(60);
  expect(fill(budget, 'b')).toBe(30);
  expect(fill(budget, 'c')).toBe(15);
});

test('what is given back can be taken again, by anyone', () => {
  const budget = new SharedBudget(100);
  expect(budget.take('a', 50)).toBe(true);
  expect(budget.take('a', 1)).toBe(false);
  budget.give('a', 50);
  expect(budget.take('b', 50)).toBe(true);
});

test('an amount that is refused is not counted', () => {
  const budget = new SharedBudget(10);
  expect(budget.take('a', 6)).toBe(false);
  expect(budget.take('a', 5)).toBe(true);
});
