/** Quantised checkpoints that are not read, or do not hold what config.json says; and forms that no fixture has. */

import { dataOf } from '@shoal/onnx';
import { describe, expect, test } from 'vitest';
import type { StoredMatrix } from '../matrix.js';
import type { SafetensorsType, StoredTensor } from '../safetensors.js';
import { readQuantised } from './read.js';

type Json = Record<string, unknown>;

const GPTQ = { quant_method: 'gptq', bits: 4, group_size: 32, desc_act: false, sym: false };
const AWQ = { quant_method: 'awq', bits: 4, group_size: 32, zero_point: true, version: 'gemm' };
const COMPRESSED = {
  quant_method: 'compressed-tensors',
  format: 'pack-quantized',
  config_groups: { group_0: { targets: ['Linear'], weights: { num_bits: 4, type: 'int', strategy: 'group' } } },
};

function tensor(type: SafetensorsType, shape: readonly number[], values: ArrayBufferView): StoredTensor {
  return { type, shape, data: dataOf(values) };
}

const words = (shape: readonly number[], word = 0x76543210) =>
  tensor('I32', shape, new Uint32Array(shape.reduce((a, b) => a * b)).fill(word));
const scales = (shape: readonly number[]) =>
  tensor(
    'F32',
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, n) => 1 + n),
  );

/** 64 inputs, 8 outputs. */
const LAYER: Readonly<Record<string, StoredTensor>> = {
  qweight: words([8, 8]),
  qzeros: words([2, 1], 0x66666666),
  scales: scales([2, 8]),
};
const AWQ_LAYER = { qweight: words([64, 1]), qzeros: words([2, 1]), scales: scales([2, 8]) };
const PACKED = {
  weight_packed: words([8, 8]),
  weight_shape: tensor('I64', [2], BigInt64Array.of(8n, 64n)),
  weight_scale: scales([8, 2]),
};

function read(settings: unknown, layer: Readonly<Record<string, StoredTensor | undefined>>) {
  const tensors = Object.entries(layer).flatMap(([part, value]) => (value ? [[`a.${part}`, value] as const] : []));
  return readQuantised(new Map(tensors), { quantization_config: settings });
}

function matrix(settings: unknown, layer: Readonly<Record<string, StoredTensor | undefined>>) {
  return (read(settings, layer).tensors.get('a.weight') as StoredMatrix).matrix;
}

test.each<[field: string, remedy: string, settings: unknown]>([
  ['quant_method: "bitsandbytes"', 'dequantize', { quant_method: 'bitsandbytes', load_in_4bit: true }],
  ['quant_method: "fp8"', 'import', { quant_method: 'fp8', weight_block_size: [128, 128] }],
  ['quant_method: "auto-round"', 'import', { quant_method: 'auto-round' }],
  ['quant_method: "constructor"', 'import', { quant_method: 'constructor' }],
  ['quant_method: ""', 'import', { bits: 4 }],
  ['bits', 'import', { ...GPTQ, bits: 3 }],
  ['bits', 'import', { ...GPTQ, bits: undefined }],
  ['checkpoint_format: "marlin"', 'import', { ...GPTQ, checkpoint_format: 'marlin' }],
  ['is_marlin_format', 'only false', { ...GPTQ, is_marlin_format: true }],
  ['group_size', '', { ...GPTQ, group_size: 0 }],
  ['version: "gemv"', 'import', { ...AWQ, version: 'GEMV' }],
  ['version: "marlin"', 'import', { ...AWQ, version: 'marlin' }],
  ['bits', 'import', { ...AWQ, bits: 8 }],
  ['format: "marlin-24"', 'import', { ...COMPRESSED, format: 'marlin-24' }],
  ['format: "nvfp4-pack-quantized"', 'import', { ...COMPRESSED, format: 'nvfp4-pack-quantized' }],
  ['quantization_status', 'import', { ...COMPRESSED, quantization_status: 'frozen' }],
  ['config_groups.a.weights.strategy: "block"', 'import', withWeights({ strategy: 'block' })],
  ['config_groups.a.weights.num_bits: 2', 'import', withWeights({ num_bits: 2 })],
  ['quantization_config', '', 'gptq'],
])('%s is refused, with what to do', (field, remedy, settings) => {
  const message = fault(() => read(settings, LAYER));
  expect(message).toContain('config.json: quantization_config');
  expect(message).toContain(field);
  expect(message).toContain(remedy);
});

function withWeights(changes: Json): Json {
  return {
    ...COMPRESSED,
    config_groups: { a: { weights: { num_bits: 4, type: 'int', strategy: 'group', ...changes } } },
  };
}

function fault(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was refused');
}

test('tensors of integers without a quantization_config are named', () => {
  for (const layer of [LAYER, PACKED]) {
    expect(fault(() => read(undefined, layer))).toMatch(
      /^a\.(qweight|weight_packed) is quantised, but config\.json has no/,
    );
  }
});

test.each<[part: string, settings: Json, layer: Json]>([
  ['a.scales', GPTQ, { ...LAYER, scales: undefined }],
  ['a.qzeros', GPTQ, { ...LAYER, qzeros: undefined }],
  ['a.qweight', GPTQ, { ...LAYER, qweight: scales([8, 8]) }],
  ['a.qweight', GPTQ, { ...LAYER, qweight: words([64]) }],
  ['a.qweight', GPTQ, { ...LAYER, qweight: words([0, 8]) }],
  ['a.scales has the shape 2 × 8', { ...GPTQ, bits: 8 }, LAYER],
  ['a.scales has the shape 2 × 8', { ...GPTQ, group_size: 64 }, LAYER],
  ['a.qzeros', GPTQ, { ...LAYER, qzeros: words([1, 2]) }],
  ['a.qzeros holds the zero point 16', GPTQ, { ...LAYER, qzeros: words([2, 1], 0xf6666666) }],
  ['a.g_idx', GPTQ, { ...LAYER, g_idx: words([63], 0) }],
  ['a.g_idx names the group 2', GPTQ, { ...LAYER, g_idx: words([64], 2) }],
  ['a.g_idx names the group -1', GPTQ, { ...LAYER, g_idx: words([64], 0xffffffff) }],
  ['a.scales', AWQ, { ...AWQ_LAYER, scales: words([2, 8]) }],
  ['a.qzeros', AWQ, { ...AWQ_LAYER, qzeros: words([2, 2]) }],
  ['a.weight_shape', COMPRESSED, { ...PACKED, weight_shape: undefined }],
  ['a.weight_shape', COMPRESSED, { ...PACKED, weight_shape: tensor('I64', [2], BigInt64Array.of(8n, -64n)) }],
  ['a.weight_packed', COMPRESSED, { ...PACKED, weight_shape: tensor('I64', [2], BigInt64Array.of(8n, 2n ** 40n)) }],
  ['a.weight_scale', COMPRESSED, { ...PACKED, weight_scale: scales([8, 3]) }],
  ['a.weight_scale', COMPRESSED, { ...PACKED, weight_scale: words([8, 2]) }],
  ['a.weight_zero_point', COMPRESSED, { ...PACKED, weight_zero_point: words([8, 2]) }],
  ['a.weight_g_idx', COMPRESSED, { ...PACKED, weight_g_idx: words([64], 7) }],
  ['a.weight', COMPRESSED, { weight: words([8, 8]), weight_scale: scales([8, 2]) }],
])('%s that does not fit is named', (part, settings, layer) => {
  expect(fault(() => read(settings, layer as Record<string, StoredTensor>))).toContain(part);
});

test('scales that are no numbers are refused when they are read', () => {
  const nan = tensor('F32', [2, 8], new Float32Array(16).fill(Number.NaN));
  expect(fault(() => matrix(GPTQ, { ...LAYER, scales: nan }).read())).toContain('a.scales holds NaN');
});

describe('groups', () => {
  const level = (column: number) => column % 8;
  const row = (values: Float32Array) => [...values.subarray(0, 64)];

  test('of other sizes than blocks have become several blocks, or floats', () => {
    const forms = [
      [512, 512, 256],
      [-1, 1024, 256],
      [-1, 896, 128],
      [96, 192, 32],
      [48, 96, 16],
      [24, 48, undefined],
      [-1, 40, undefined],
    ] as const;
    for (const [group, inputs, block] of forms) {
      const groups = group === -1 ? 1 : inputs / group;
      const layer = {
        qweight: words([inputs / 8, 8]),
        qzeros: words([groups, 1], 0x33333333),
        scales: scales([groups, 8]),
      };
      const own = matrix({ ...GPTQ, group_size: group }, layer);
      expect(own.kept?.format.block).toBe(block);
      const size = group === -1 ? inputs : group;
      const expected = Array.from({ length: inputs }, (_, n) => (level(n) - 4) * (1 + 8 * Math.floor(n / size)));
      expect([...own.read().subarray(0, inputs)]).toEqual(expected);
    }
  });

  test('of neighbours, of any order, and of unequal sizes', () => {
    const index = (groupOf: (input: number) => number) =>
      tensor(
        'I32',
        [64],
        Int32Array.from({ length: 64 }, (_, n) => groupOf(n)),
      );
    const expected = (groupOf: (input: number) => number) =>
      Array.from({ length: 64 }, (_, n) => (level(n) - 7) * (1 + 8 * groupOf(n)));
    const forms = [
      { groupOf: (n: number) => Number(n >= 32), kept: true, ordered: false },
      { groupOf: (n: number) => n % 2, kept: true, ordered: true },
      { groupOf: (n: number) => Number(n < 32), kept: true, ordered: true },
      { groupOf: (n: number) => Number(n >= 31), kept: false, ordered: false },
      { groupOf: () => 0, kept: false, ordered: false },
    ];
    for (const { groupOf, kept, ordered } of forms) {
      const own = matrix(GPTQ, { ...LAYER, g_idx: index(groupOf) });
      expect(own.kept !== undefined).toBe(kept);
      expect(own.kept?.order !== undefined).toBe(ordered);
      expect(row(own.read())).toEqual(expected(groupOf));
    }
  });

  test('zero points in the middle of the range need none', () => {
    expect(matrix(GPTQ, { ...LAYER, qzeros: words([2, 1], 0x77777777) }).kept?.format.symmetric).toBe(true);
    expect(matrix(GPTQ, LAYER).kept?.format.symmetric).toBe(false);
  });
});

test('biases of zeros, and scales of activations, need not be used', () => {
  const bias = (value: number) => tensor('F32', [8], new Float32Array(8).fill(value));
  expect([...read(GPTQ, { ...LAYER, bias: bias(0) }).spare]).toEqual(['a.bias']);
  expect([...read(GPTQ, { ...LAYER, bias: bias(1) }).spare]).toEqual([]);
  expect([...read(COMPRESSED, { ...PACKED, input_scale: scales([1]) }).spare]).toEqual(['a.input_scale']);
});
