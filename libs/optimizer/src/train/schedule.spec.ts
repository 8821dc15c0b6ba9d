/** Training is as long as texts and time allow, and its settings follow from these alone. */
import { expect, test } from 'vitest';
import { countExamples, type Load, planSchedule, scheduleIn } from './schedule.js';

const LOAD: Load = {
  ...{ products: 1.3e6, teacherProducts: 2.6e6, numbers: 3e6, width: 192, examples: 50_000, tokens: 14 },
};

test('with texts and time enough it is what a classifier of four layers was healed by', () => {
  expect(planSchedule(LOAD).schedule).toEqual({ steps: 1200, batch: 64, accumulate: 1, rate: 5e-4 });
});

test('less time makes fewer steps', () => {
  const planned = [20_000, 1000, 400, 10].map((seconds) => planSchedule({ ...LOAD, products: 1e7 }, { seconds }, 2));
  // 1.14 s a step, for a quarter of the time; below some steps there is nothing to be had.
  expect(planned.map(({ schedule }) => schedule.steps)).toEqual([1200, 210, 80, 50]);
  const times = planned.map(({ seconds }) => seconds);
  expect(times).toEqual(times.toSorted((a, b) => b - a));
});

test('few texts are not seen more than thirty times', () => {
  const { steps, batch, accumulate } = planSchedule({ ...LOAD, examples: 411 }).schedule;
  expect(steps * batch * accumulate).toBeLessThanOrEqual(30 * 411);
  expect([batch, accumulate]).toEqual([16, 1]);
});

test('long texts make passes of fewer, and as many of a step; wide models have lower rates', () => {
  expect(planSchedule({ ...LOAD, tokens: 500 }).schedule).toMatchObject({ batch: 8, accumulate: 8 });
  const rates = [96, 384, 4096].map((width) => planSchedule({ ...LOAD, width }).schedule.rate);
  expect(rates).toEqual([5e-4, 2.5e-4, 1e-4]);
});

test('a schedule comes back from the settings of a candidate', () => {
  const { schedule } = planSchedule(LOAD);
  expect(scheduleIn({ settings: { layers: 2, ...schedule } })).toEqual(schedule);
});

test('texts are counted by what the model is given of each: both of a pair by themselves, queries with each document', () => {
  const of = (items: Parameters<typeof countExamples>[0]['items'], most: number | null = null) =>
    countExamples({ kind: items[0]!.kind, items, labelled: false }, most);
  expect(of([{ kind: 'text', text: 'twelve chars' }])).toEqual({ examples: 1, tokens: 5 });
  expect(of([{ kind: 'pair', query: 'four', document: 'twelve chars' }])).toEqual({ examples: 2, tokens: 4 });
  const documents = ['four', 'twelve chars'].map((text) => ({ text, grade: 0 }));
  expect(of([{ kind: 'ranking', query: 'four', documents }])).toEqual({ examples: 2, tokens: 5 });
  expect(of([{ kind: 'text', text: 'a'.repeat(4000) }], 128)).toEqual({ examples: 1, tokens: 128 });
});
