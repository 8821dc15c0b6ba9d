/** What a loss is counted in: never in something that cannot change where the model does. */
import { expect, test } from 'vitest';
import type { Examples } from '../types.js';
import { choosingMetric, type MeasuredModel, metricFor } from './metrics.js';

const classifier = (labels: readonly string[], scoreFunction: 'softmax' | 'sigmoid' | 'none'): MeasuredModel => ({
  ...{ task: 'text-classification', labels, text: { scoreFunction } },
});
const texts = (labelled: boolean): Examples => ({ kind: 'text', items: [], labelled });

test('classes: accuracy where there are labels, agreement where there are none', () => {
  const model = classifier(['a', 'b'], 'softmax');
  expect(metricFor(model, texts(true), undefined)).toBe('accuracy');
  expect(metricFor(model, texts(false), undefined)).toBe('agreement');
  expect(() => metricFor(model, texts(false), 'accuracy')).toThrow('by agreement, not by accuracy');
});

test('several labels of one text: all of them have to stay, which one label in the file does not tell', () => {
  const model = classifier(['a', 'b', 'c'], 'sigmoid');
  expect(metricFor(model, texts(true), undefined)).toBe('agreement');
  expect(() => metricFor(model, texts(true), 'accuracy')).toThrow('by agreement, not by accuracy');
});

test('a model that gives one number is refused: its only class is always the likeliest', () => {
  expect(() => metricFor(classifier(['score'], 'none'), texts(false), undefined)).toThrow('one number, and no classes');
});

test('of few pairs choices are made by the places of documents: ten of a dozen are found by any model', () => {
  const model: MeasuredModel = { task: 'feature-extraction', labels: [], text: null };
  const pairs = (count: number): Examples => ({
    kind: 'pair',
    items: Array.from({ length: count }, (_, n) => ({ kind: 'pair', query: `q${n}`, document: `d${n}` })),
    labelled: false,
  });
  expect(metricFor(model, pairs(49), undefined)).toBe('recall@10');
  expect(choosingMetric(model, pairs(49), undefined)).toBe('ndcg@10');
  expect(choosingMetric(model, pairs(49), 'recall@10')).toBe('ndcg@10');
  expect(choosingMetric(model, pairs(49), 'cosine')).toBe('cosine');
  expect(choosingMetric(model, pairs(50), undefined)).toBe('recall@10');
});
