/** Forms that ONNX Runtime multiplies by go into the graph bit for bit: the very numbers of the file, rounded by nobody. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dataOf, type Model } from '@shoal/onnx';
import { afterAll, expect, test } from 'vitest';
import { buildModel } from '../architectures/table.js';
import { Checkpoint } from '../checkpoint.js';
import { dequantise, keptOf } from '../kept-blocks.js';
import { precisionOf } from '../precision/dtype.js';
import { pathOf } from '../testing/decoders.js';
import { familyOf } from './families.js';
import { openGguf, unpackGguf } from './open.js';
import { type GgufTensor, readGguf } from './read.js';
import { GGML_TYPES } from './types.js';
import { checkpointTensors } from './weights.js';

const root = mkdtempSync(join(tmpdir(), 'shoal-gguf-kept-'));
afterAll(() => rmSync(root, { recursive: true }));

const fileOf = (name: string) => pathOf(`test/fixtures/gguf/${name}/${name}.gguf`);

function build(path: string, dtype: string): Model {
  const folder = mkdtempSync(join(root, 'unpacked-'));
  unpackGguf(path, folder);
  const config: unknown = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  return buildModel({ config, checkpoint: openGguf(path), precision: precisionOf(dtype, 'decoder') });
}

/** The matrices that the graph multiplies by, by name, as numbers. */
function multiplied({ graph }: Model): Map<string, Float32Array> {
  const bytes = (name: string) => graph.initializers.get(name)!.data.bytes().slice();
  const found = graph.nodes
    .filter(({ op }) => op === 'MatMulNBits')
    .map(({ inputs: [, data = '', scales = '', zeros = ''], attributes }) => {
      const int = (name: string) => Number((attributes.get(name) as { value: bigint }).value);
      const [rows, columns] = [int('N'), int('K')];
      const format = { bits: int('bits') as 4 | 8, block: int('block_size') as 32, symmetric: zeros === '' };
      const parts = {
        data: bytes(data),
        scales: new Float32Array(bytes(scales).buffer),
        zeroPoints: zeros === '' ? undefined : bytes(zeros),
      };
      return [data.replace(/\.int[48]$/, ''), dequantise(keptOf(rows, columns, format, parts))] as const;
    });
  return new Map(found);
}

test.each([
  ['llama-q4_0', 4, 32],
  ['llama-q8_0', 8, 32],
  ['llama-q5_0', 8, 32],
  ['llama-q3_k', 4, 16],
  ['llama-q6_k', 8, 16],
  ['llama-iq4_nl', 8, 32],
  ['llama-iq4_xs', 8, 32],
])('%s: %i bits in blocks of %i', (name, bits, block) => {
  const model = build(fileOf(name), 'kept');
  const { tensors } = readGguf(fileOf(name));
  const own = multiplied(model);
  const formats = model.graph.nodes
    .filter(({ op }) => op === 'MatMulNBits')
    .map(({ attributes }) =>
      ['bits', 'block_size'].map((key) => Number((attributes.get(key) as { value: bigint }).value)),
    );
  expect(new Set(formats.map(String))).toEqual(new Set([`${bits},${block}`]));
  // Those that stand alone in the graph, with rows in the file's order.
  for (const [gguf, hugging] of [
    ['attn_output', 'self_attn.o_proj'],
    ['ffn_down', 'mlp.down_proj'],
  ]) {
    const { type, data } = tensors.get(`blk.0.${gguf}.weight`)!;
    expect(own.get(`model.layers.0.${hugging}.weight`)).toEqual(type.dequantise!(data.bytes()));
  }
  // Queries, keys and values are one matrix, whose rows were moved: the numbers are the same ones.
  const qkv = own.get('model.layers.0.self_attn.qkv_proj.weight')!;
  const parts = ['attn_q', 'attn_k', 'attn_v'].flatMap((part) => {
    const { type, data } = tensors.get(`blk.0.${part}.weight`)!;
    return [...type.dequantise!(data.bytes())];
  });
  expect([...qkv].sort((a, b) => a - b)).toEqual(parts.sort((a, b) => a - b));
});

test('q4_0 stays as it is with --dtype int4, q8_0 with int8', () => {
  for (const [name, dtype] of [
    ['llama-q4_0', 'int4'],
    ['llama-q8_0', 'int8'],
  ] as const) {
    expect(multiplied(build(fileOf(name), dtype))).toEqual(multiplied(build(fileOf(name), 'kept')));
  }
});

/** One block of Q4_1: 16-bit floats of scale and minimum, then numbers i and i + 16 in a byte. */
function q41(scale: number, minimum: number): number[] {
  const half = (bits: number) => [bits & 255, bits >> 8];
  return [...half(scale), ...half(minimum), ...Array.from({ length: 16 }, (_, i) => i | ((15 - i) << 4))];
}

/** A checkpoint with one matrix of 2 rows of 3 blocks. */
function matrixOf(blocks: readonly number[][]) {
  const data = dataOf(Uint8Array.from(blocks.flat()));
  const tensor: GgufTensor = { type: GGML_TYPES.get(3)!, shape: [2, 96], data };
  const tensors = checkpointTensors(new Map([['output.weight', tensor]]), familyOf('llama'), { queries: 2, keys: 1 });
  return new Checkpoint(tensors).matrix('lm_head.weight', 2, 96);
}

test('q4_1 is kept with zero points where each minimum is a whole number of steps below 0, and dequantised else', () => {
  // 0.125, and 0, 3, 15 and 8 times −0.125; 0 and 0.
  const fitting = [q41(0x3000, 0x0000), q41(0x3000, 0xb600), q41(0x3000, 0xbf80), q41(0x3000, 0xbc00), q41(0, 0)];
  const whole = matrixOf([...fitting, q41(0xb000, 0x3400)]);
  expect(whole.kept?.format).toEqual({ bits: 4, block: 32, symmetric: false });
  // A negative scale times 0 is -0, which is 0 too.
  expect(dequantise(whole.kept!).map((value) => value + 0)).toEqual(whole.read());
  // A minimum above 0, of 16 steps, of half a step, and without a scale.
  for (const odd of [q41(0x3000, 0x3000), q41(0x3000, 0xc000), q41(0x3000, 0xac00), q41(0, 0x3000)]) {
    expect(matrixOf([...fitting, odd]).kept).toBeUndefined();
  }
  const path = join(root, 'copy.gguf');
  writeFileSync(path, readFileSync(fileOf('llama-q4_1')));
  expect(multiplied(build(path, 'kept')).size).toBe(0);
});
