/** What a run tries, in which order, and what it says of what it does not. */
import { ShoalError } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import { expect, test } from 'vitest';
import type { Candidate, Method, Subject } from '../types.js';
import { nothingToTry, planOf } from './plan.js';

const SUBJECT = { original: { variant: 'fp32', task: 'rerank' } as Model } as Subject;

function method(name: string, offers: readonly string[] | string | Error): Method {
  return {
    ...{ name, description: name },
    async plan() {
      if (offers instanceof Error) throw offers;
      if (typeof offers === 'string') return offers;
      return offers.map((variant): Candidate => ({ method: name, variant, settings: {}, seconds: 1 }));
    },
    make: () => Promise.reject(new Error('it is only planned')),
  };
}

const METHODS = [
  method('a', ['a1', 'a2', 'a3']),
  method('b', 'it is not for such models'),
  method('c', ['c1', 'fp32', 'a2']),
  method('d', new ShoalError('model_invalid', 'its graph cannot be read')),
];

test('the best of each method comes before the second of any; the rest is told with its reason', async () => {
  const { candidates, impossible } = await planOf(SUBJECT, METHODS, []);
  expect(candidates.map(({ variant }) => variant)).toEqual(['a1', 'c1', 'a2', 'a3']);
  expect(impossible).toEqual([
    { method: 'b', why: 'it is not for such models' },
    { method: 'd', why: 'its graph cannot be read' },
    { method: 'c', why: 'fp32 is what others are compared with' },
    { method: 'c', why: 'its variant a2 has the name of one that a makes' },
  ]);
});

test('methods for other tasks are told in one line, and are not asked', async () => {
  const others = ['x', 'y'].map((name) => ({ ...method(name, new Error('it is asked')), tasks: ['tensors'] as const }));
  const own = { ...method('z', ['z1']), tasks: ['rerank', 'tensors'] as const };
  const { candidates, impossible } = await planOf(SUBJECT, [others[0]!, own, others[1]!], []);
  expect(candidates.map(({ variant }) => variant)).toEqual(['z1']);
  expect(impossible).toEqual([{ method: 'x, y', why: 'for models of other tasks' }]);
});

test('methods can be chosen by their names, and others are not heard of', async () => {
  const { candidates, impossible } = await planOf(SUBJECT, METHODS, ['c']);
  expect(candidates.map(({ variant }) => variant)).toEqual(['c1', 'a2']);
  expect(impossible).toHaveLength(1);
  await expect(planOf(SUBJECT, METHODS, ['c', 'x'])).rejects.toThrow(
    'there is no method "x": did you mean a or b or c?',
  );
});

test('methods with the same reason are told in one line, and an empty plan in one that names what is missing', async () => {
  const alike = [method('a', 'it is too small'), method('b', []), method('c', 'it is too small')];
  const plan = await planOf(SUBJECT, alike, []);
  expect(plan).toEqual({ candidates: [], impossible: [{ method: 'a, c', why: 'it is too small' }] });
  expect(nothingToTry({ name: 'm', variant: 'fp32', variants: { fp32: '' } }, plan)).toBe(
    'nothing can be made of m: a, c: it is too small',
  );
});

test('a fault that is none of the model is not taken for a reason', async () => {
  await expect(planOf(SUBJECT, [method('e', new TypeError('a bug'))], [])).rejects.toThrow('a bug');
});
