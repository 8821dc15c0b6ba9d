import { expect, test } from 'vitest';
import { Company } from './company.js';

test('a tenant is alone until another comes, and again a second after that', () => {
  let now = 0;
  const company = new Company(() => now);
  company.note('acme');
  expect(company.besides('acme')).toBe(false);
  now = 500;
  company.note('zeta');
  expect([company.besides('acme'), company.besides('zeta')]).toEqual([true, true]);
  now = 1100;
  company.note('acme');
  // Zeta's last request is 600 ms old.
  expect([company.besides('acme'), company.besides('zeta')]).toEqual([true, true]);
  now = 1600;
  expect([company.besides('acme'), company.besides('zeta')]).toEqual([false, true]);
});
