/**
 * GPTQ, AWQ and compressed-tensors of tiny random models: the matrices are those of PyTorch to the bit, the graph multiplies by
 * the checkpoint's own integers, and the answers are PyTorch's.
 */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { decoderInfoOf } from '@shoal/models';
import { type Model, serialiseModel } from '@shoal/onnx';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildModel } from '../architectures/table.js';
import { type Checkpoint, openCheckpoint } from '../checkpoint.js';
import { ORIGINS_KEY } from '../origins.js';
import { precisionOf } from '../precision/dtype.js';
import {
  type Case,
  difference,
  generate,
  type Loaded,
  logitsOf,
  NEW_TOKENS,
  pathOf,
  readJson,
} from '../testing/decoders.js';

const FIXTURES = 'test/fixtures/quantised';

interface Expected {
  readonly dequantised_sha256: Readonly<Record<string, string>>;
  readonly cases: readonly Case[];
}

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

function open(name: string): Checkpoint {
  return openCheckpoint(pathOf(`${FIXTURES}/${name}`), readJson(`${FIXTURES}/${name}/config.json`));
}

function build(name: string, dtype: string): Model {
  const config = readJson(`${FIXTURES}/${name}/config.json`);
  return buildModel({ config, checkpoint: open(name), precision: precisionOf(dtype, 'decoder') });
}

async function load(model: Model): Promise<Loaded> {
  return { session: await runtime.createSession(serialiseModel(model)), info: decoderInfoOf(model)! };
}

/** The form of what is kept: bits and block; absent where it is not. */
const FORMS: Readonly<Record<string, readonly [bits: number, block: number] | undefined>> = {
  'awq-g128': [4, 128],
  'awq-g32': [4, 32],
  'awq-g64-qwen2': [4, 64],
  'ct-fp8-channel': undefined,
  'ct-int4-g128-sym': [4, 128],
  'ct-int4-g32-asym': [4, 32],
  'ct-int8-channel': [8, 128],
  'ct-int8-packed': [8, 128],
  'gptq-channel-sym': [4, 128],
  'gptq-g128-sym': [4, 128],
  'gptq-g32-asym': [4, 32],
  'gptq-g32-sym-act': [4, 32],
  'gptq-g64-asym-act': [4, 64],
  'gptq-int8-g32-sym': [8, 32],
  'gptq-qwen2-old': [4, 128],
  'gptq-v2-g128-sym-act': [4, 128],
  'gptq-v2-g32-asym': [4, 32],
};

/** Queries, keys and values are of inputs in three orders. */
const APART = ['gptq-g32-sym-act', 'gptq-g64-asym-act'];

test('there is a form for each fixture', () => {
  expect(readdirSync(pathOf(FIXTURES)).sort()).toEqual(Object.keys(FORMS));
});

describe.each(Object.entries(FORMS))('%s', (name, form) => {
  const { dequantised_sha256: hashes, cases } = readJson<Expected>(`${FIXTURES}/${name}/expected.json`);

  test('its matrices are those of PyTorch to the bit', () => {
    const checkpoint = open(name);
    const { quantised } = checkpoint;
    expect(quantised).toHaveLength(Object.keys(hashes).length);
    for (const [weight, hash] of Object.entries(hashes)) {
      const width = weight.includes('k_proj') || weight.includes('v_proj') ? 64 : 128;
      const values = checkpoint.matrix(weight, width, 128).read();
      expect(createHash('sha256').update(values).digest('hex'), weight).toBe(hash);
    }
  });

  test('its integers are those that the graph multiplies by', () => {
    const model = build(name, 'kept');
    const products = model.graph.nodes.filter(({ op }) => op === 'MatMulNBits');
    const forms = products.map(({ attributes }) =>
      ['bits', 'block_size'].map((key) => Number((attributes.get(key) as { value: bigint }).value)),
    );
    expect(new Set(forms.map(String))).toEqual(new Set(form === undefined ? [] : [String(form)]));
    expect(products).toHaveLength(form === undefined ? 0 : APART.includes(name) ? 7 : 4);
    const said = form === undefined ? /float8: 7 matrices, dequantised$/ : /: 7 matrices, kept bit for bit$/;
    expect(model.metadata.get(ORIGINS_KEY)).toMatch(said);
  });

  test.each([
    ['fp32', 1e-5],
    // 8-bit weights are multiplied by activations of 8 bits.
    ['kept-l0', form?.[0] === 8 ? 0.15 : 1e-5],
    ['kept', 0.15],
  ])('%s: logits within %d of PyTorch', async (dtype, tolerance) => {
    const loaded = await load(build(name, dtype));
    const rows = cases.map(({ input_ids: ids }) => ({ ids, rotaryLength: ids.length }));
    const found = await logitsOf(loaded, rows, 64);
    const largest = Math.max(...cases.map(({ last_logits }, n) => difference(found[n]!, last_logits)));
    expect(largest).toBeLessThan(tolerance);
    if (tolerance < 0.01) {
      const prompts = cases.map(({ input_ids }) => input_ids);
      const texts = await generate(loaded, prompts, { maxTokens: NEW_TOKENS, stopIds: [], chunk: 64 });
      expect(texts).toEqual(cases.map(({ greedy_ids }) => greedy_ids));
    }
    await loaded.session.release();
  });
});
