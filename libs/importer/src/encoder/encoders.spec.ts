/** Encoders imported from checkpoints answer as PyTorch does: each text alone, and all in one padded batch. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ShoalError } from '@shoal/contracts';
import { dataOf, serialiseModel } from '@shoal/onnx';
import { openRuntime, type Runtime, type Session, type Tensor } from '@shoal/onnxruntime';
import { beforeAll, describe, expect, test } from 'vitest';
import { architectureOf } from '../architectures/table.js';
import { Checkpoint, openCheckpoint } from '../checkpoint.js';
import { precisionOf } from '../precision/dtype.js';
import { float32 } from '../precision/float32.js';
import type { Precision } from '../precision/types.js';
import { readSafetensors, type StoredTensor } from '../safetensors.js';
import { ENCODERS } from '../testing/encoders.js';

const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/checkpoints', import.meta.url));
const TOLERANCE = 1e-5;
/** Products of padded and of joined rows may be summed in another order. */
const SAME = 1e-5;

interface Case {
  readonly text: string;
  readonly text_pair?: string;
  readonly token_type_ids?: readonly number[];
  readonly input_ids: readonly number[];
  readonly output: string;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

const read = (name: string, file: string): unknown => JSON.parse(readFileSync(`${FIXTURES}/${name}/${file}`, 'utf8'));

function build(name: string, changes: Readonly<Record<string, unknown>> = {}, precision: Precision = float32) {
  const config = { ...(read(name, 'config.json') as { readonly architectures: [string] }), ...changes };
  const checkpoint = openCheckpoint(`${FIXTURES}/${name}`);
  const model = architectureOf(config).build({ config, checkpoint, precision });
  return { model, checkpoint };
}

/** Padding is of a token that means something elsewhere: only the mask says that it is none. */
async function run(
  session: Session,
  texts: readonly (readonly number[])[],
  padId: number,
  types: readonly (readonly number[] | undefined)[] = [],
): Promise<Tensor> {
  const width = Math.max(...texts.map((ids) => ids.length));
  const tensor = (value: (ids: readonly number[], at: number, row: number) => number): Tensor => ({
    type: 'int64',
    dims: [texts.length, width],
    data: BigInt64Array.from(
      texts.flatMap((ids, row) => Array.from({ length: width }, (_, at) => BigInt(value(ids, at, row)))),
    ),
  });
  const feeds: Record<string, Tensor> = {
    input_ids: tensor((ids, at) => ids[at] ?? padId),
    attention_mask: tensor((ids, at) => Number(at < ids.length)),
    token_type_ids: tensor((_, at, row) => types[row]?.[at] ?? 0),
  };
  const wanted = Object.fromEntries(session.inputs.map(({ name }) => [name, feeds[name]!]));
  return Object.values(await session.run(wanted))[0]!;
}

/** Of one row, padding left aside. */
function difference(output: Tensor, row: number, { values }: { readonly values: ArrayLike<number> }): number {
  const data = output.data as Float32Array;
  const stride = data.length / output.dims[0]!;
  const own = data.subarray(row * stride, row * stride + values.length);
  expect(own).toHaveLength(values.length);
  return own.reduce((largest, value, n) => Math.max(largest, Math.abs(value - values[n]!)), 0);
}

describe.each(ENCODERS)('%s', (name) => {
  test('gives PyTorch’s values, alone as well as batched and padded', async () => {
    const { cases } = read(name, 'expected.json') as { readonly cases: readonly Case[] };
    const { model, checkpoint } = build(name);
    expect(checkpoint.unused).toEqual([]);
    const session = await runtime.createSession(serialiseModel(model));
    try {
      expect(session.outputs.map((output) => output.name)).toEqual([cases[0]!.output]);
      for (const padId of [2, 7]) {
        const together = await run(
          session,
          cases.map(({ input_ids }) => input_ids),
          padId,
          cases.map(({ token_type_ids }) => token_type_ids),
        );
        for (const [row, sample] of cases.entries()) {
          const alone = await run(session, [sample.input_ids], padId, [sample.token_type_ids]);
          expect(alone.dims.slice(1)).toEqual(sample.shape);
          expect(difference(alone, 0, sample)).toBeLessThan(TOLERANCE);
          expect(difference(together, row, sample)).toBeLessThan(TOLERANCE);
        }
      }
    } finally {
      await session.release();
    }
  });

  test.each(['int8', 'int8-b32', 'int4'])('as %s answers a text alone as beside any others', async (dtype) => {
    const { cases } = read(name, 'expected.json') as { readonly cases: readonly Case[] };
    const { model } = build(name, {}, precisionOf(dtype, 'encoder'));
    const session = await runtime.createSession(serialiseModel(model));
    try {
      const texts = cases.map(({ input_ids }) => input_ids);
      const together = await run(session, texts, 2);
      const turned = await run(session, texts.toReversed(), 2);
      for (const [row, text] of texts.entries()) {
        const values = (await run(session, [text], 2)).data as Float32Array;
        expect(difference(together, row, { values })).toBeLessThan(SAME);
        expect(difference(turned, texts.length - 1 - row, { values })).toBeLessThan(SAME);
      }
    } finally {
      await session.release();
    }
  });
});

describe('a config.json', () => {
  test.each([
    ['bert', { position_embedding_type: 'relative_key' }, 'position_embedding_type: "relative_key" is not supported'],
    ['bert', { hidden_act: 'mish' }, 'hidden_act: "mish" is not supported; supported are gelu'],
    ['bert', { is_decoder: true }, 'is_decoder: true is not supported'],
    ['bert', { quantization_config: { bits: 4 } }, 'quantization_config: {"bits":4} is not supported'],
    ['bert', { hidden_size: 1e9 }, 'hidden_size'],
    ['bert', { num_attention_heads: 7 }, 'a width of 48 cannot be split into 7 heads'],
    ['bert-classify', { id2label: { 0: 'a', 1: 'b' } }, 'classifier.weight has the shape 4 × 48'],
    ['modernbert', { rope_parameters: { full_attention: { rope_theta: 1, rope_type: 'yarn' } } }, 'rope_type: "yarn"'],
    ['mpnet', { relative_attention_num_buckets: 64 }, 'relative_attention_num_buckets: 64 is not supported, only 32'],
    ['deberta-v3', { pos_att_type: ['c2p', 'p2p'] }, 'pos_att_type.1: only c2p and p2c are supported'],
    ['deberta-v3', { position_buckets: 1e9 }, 'position_buckets'],
    ['deberta-v2-conv', { conv_kernel_size: 4 }, 'conv_kernel_size: 4 is not supported, only odd ones'],
    ['deberta-v1', { talking_head: true }, 'talking_head: true is not supported'],
    ['nomic-bert', { rotary_scaling_factor: 2 }, 'rotary_scaling_factor: is not supported: remove it'],
    ['nomic-bert', { activation_function: 'gelu' }, 'activation_function: only swiglu and geglu are supported'],
    ['nomic-bert', { n_positions: 1e9 }, 'n_positions'],
    ['gte-new', { rope_scaling: { type: 'yarn', factor: 2 } }, 'rope_scaling.type: only "ntk" is supported'],
    ['gte-new', { position_embedding_type: 'absolute' }, 'position_embedding_type: "absolute" is not supported'],
    ['jina-bert-v2', { feed_forward_type: 'swiglu' }, 'feed_forward_type'],
    ['jina-bert-v2', { position_embedding_type: 'absolute' }, 'position_embedding_type: "absolute" is not supported'],
    ['albert', { num_hidden_groups: 2 }, 'albert_layer_groups.1'],
    ['electra', { embedding_size: 20 }, 'config.json asks for'],
  ])('of %s with %j is refused by name', (name, changes, message) => {
    expect(() => build(name, changes)).toThrow(ShoalError);
    expect(() => build(name, changes)).toThrow(message);
  });
});

/** The same model in transformers' spelling. */
test.each([
  ['gte-new', 'config.transformers.json'],
  ['gte-new-no-types', 'config.transformers.json'],
  ['gte-new-rerank', 'config.transformers.json'],
  ['nomic-bert', 'config.transformers.json'],
])('%s is read with %s too, and by the names that transformers has for tensors', async (name, file) => {
  const { cases } = read(name, 'expected.json') as { readonly cases: readonly Case[] };
  const config = read(name, file) as { readonly architectures: [string] };
  const tensors = transformersNames(readSafetensors(`${FIXTURES}/${name}/model.safetensors`));
  for (const checkpoint of [openCheckpoint(`${FIXTURES}/${name}`), new Checkpoint(tensors)]) {
    const model = architectureOf(config).build({ config, checkpoint, precision: float32 });
    expect(checkpoint.unused).toEqual([]);
    const session = await runtime.createSession(serialiseModel(model));
    for (const sample of cases) {
      expect(difference(await run(session, [sample.input_ids], 2), 0, sample)).toBeLessThan(TOLERANCE);
    }
    await session.release();
  }
});

const RENAMED: readonly (readonly [RegExp, string])[] = [
  [/^new\./, 'gte.'],
  [/encoder\.layers?\./, 'layers.'],
  [/emb_ln/, 'embeddings.LayerNorm'],
  [/(attention\.o_proj|attn\.out_proj)/, 'self_attn.o_proj'],
  [/(attn_ln|norm1)/, 'post_attention_layernorm'],
  [/(mlp_ln|norm2)/, 'post_mlp_layernorm'],
  [/fc11/, 'up_proj'],
  [/fc12/, 'gate_proj'],
  [/fc2/, 'down_proj'],
];
/** Tensors that transformers takes apart. */
const APART: readonly (readonly [RegExp, readonly string[]])[] = [
  [/(attention\.qkv_proj|attn\.Wqkv)/, ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj']],
  [/mlp\.up_gate_proj/, ['mlp.up_proj', 'mlp.gate_proj']],
];

function transformersNames(tensors: ReadonlyMap<string, StoredTensor>): Map<string, StoredTensor> {
  const renamed = [...tensors].flatMap(([name, tensor]): [string, StoredTensor][] => {
    const own = RENAMED.reduce((text, [from, to]) => text.replace(from, to), name);
    const [pattern, parts] = APART.find(([candidate]) => candidate.test(own)) ?? [];
    if (pattern === undefined || parts === undefined) return [[own, tensor]];
    const length = tensor.data.byteLength / parts.length;
    return parts.map((part, n) => {
      const data = dataOf(tensor.data.bytes().slice(n * length, (n + 1) * length));
      return [
        own.replace(pattern, part),
        { ...tensor, shape: [tensor.shape[0]! / parts.length, ...tensor.shape.slice(1)], data },
      ];
    });
  });
  return new Map(renamed);
}

test('GTE has the frequencies of its authors where its context was extended', () => {
  const changes = { rope_scaling: { type: 'ntk', factor: 8 }, rope_theta: 20_000 };
  const { graph } = build('gte-new', changes).model;
  const sines = graph.initializers.get('rotary.sin')!;
  const at1 = new Float32Array(sines.data.bytes().slice(0).buffer).subarray(5, 10);
  // (20,000 × 8)^(−2n / 10) / 8^(2 / 10)
  const frequencies = [0.659753955, 0.060056222, 0.00546681, 0.000497634, 0.000045299];
  for (const [n, frequency] of frequencies.entries()) expect(Math.asin(at1[n]!)).toBeCloseTo(frequency, 6);
});
