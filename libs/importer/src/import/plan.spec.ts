/** What a checkpoint becomes without being asked, and the room on disk that is asked for before anything is written. */
import { expect, test } from 'vitest';
import type { FoundCheckpoint } from './inspect.js';
import { choose } from './plan.js';

const BILLION = 1e9;
/** Of 8 billion parameters in 16 bits. */
const WHOLE: FoundCheckpoint = {
  kind: 'checkpoint',
  architecture: 'LlamaForCausalLM',
  task: 'text-generation',
  parameters: 8 * BILLION,
  bytes: 16 * BILLION,
  origins: [],
  keepable: false,
  loose: 0,
  files: ['model.safetensors'],
  weightsFile: undefined,
};
const GPTQ = { ...WHOLE, bytes: 5.7 * BILLION, origins: ['GPTQ int4, groups of 128: 224 matrices'], keepable: true };
const FLOAT8 = {
  ...WHOLE,
  bytes: 8.5 * BILLION,
  origins: ['compressed-tensors float8: 224 matrices'],
  loose: 7 * BILLION,
};

const plan = (found: FoundCheckpoint, ...dtypes: string[]) => choose('', { found, shoal: {}, notes: [] }, dtypes);
const namesOf = (found: FoundCheckpoint, ...dtypes: string[]) =>
  plan(found, ...dtypes).variants.map(({ name }) => name);

test('what can be kept is, where nothing else is asked for', () => {
  expect(namesOf(WHOLE)).toEqual(['fp32']);
  expect(namesOf(GPTQ)).toEqual(['kept']);
  expect(namesOf(FLOAT8)).toEqual(['fp32']);
  expect(namesOf(GPTQ, 'int4', 'kept-l0')).toEqual(['int4', 'kept-l0']);
  for (const found of [WHOLE, FLOAT8]) expect(() => namesOf(found, 'kept')).toThrow(/--dtype kept is for .* take fp32/);
});

test.each([
  // Blocks of 32: 4 bits and a scale of 32 bits each.
  ['int4', WHOLE, 5, 7],
  ['int4-b16-asym', WHOLE, 6.25, 7],
  ['int4-h8', WHOLE, 9, 11],
  ['int8', WHOLE, 9, 11],
  ['fp32', WHOLE, 16, 17],
  ['fp16', WHOLE, 16, 17],
  ['kept', GPTQ, 6.2, 12],
  ['fp32', GPTQ, 32, 33],
  ['fp32', FLOAT8, 32, 33],
] as const)('%s needs room for what it takes', (dtype, found, least, most) => {
  const { bytes } = plan(found, dtype);
  expect(bytes).toBeGreaterThanOrEqual(least * BILLION);
  expect(bytes).toBeLessThan(most * BILLION);
});

test('variants need room together', () => {
  const both = plan(WHOLE, 'fp32', 'int4').bytes;
  expect(both).toBe(plan(WHOLE, 'fp32').bytes + plan(WHOLE, 'int4').bytes);
});
