/**
 * Decoders that Optimum and ONNX Runtime GenAI's builder exported: their weights, in the graph that is built here, answer as
 * PyTorch and as the tool's own runtime do. What cannot be taken is refused in words.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { decoderInfoOf } from '@shoal/models';
import { dataOf, loadModel, type Model, saveModel, serialiseModel } from '@shoal/onnx';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildModel } from '../architectures/table.js';
import { inspect } from '../import/inspect.js';
import { openWeights } from '../import/open-weights.js';
import { openSource } from '../import/source.js';
import { readJson } from '../import/source-files.js';
import { precisionOf } from '../precision/dtype.js';
import {
  type Case,
  difference,
  generate,
  logitsOf,
  NEW_TOKENS,
  pathOf,
  readJson as read,
} from '../testing/decoders.js';
import { mutateBytes, seeded } from '../testing/mutate.js';
import { mutationsOf } from '../testing/mutations.js';

const FIXTURES = 'test/fixtures/exports';
const root = mkdtempSync(join(tmpdir(), 'shoal-exports-'));
afterAll(() => rmSync(root, { recursive: true }));

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

interface Taken {
  readonly model: Model;
  readonly config: Readonly<Record<string, unknown>>;
  readonly origins: readonly string[];
}

/** What `shoal import` builds of a folder. */
function take(folder: string, dtype: string): Taken {
  const { folder: unpacked, weightsFile, close } = openSource(folder, [dtype]);
  try {
    const { found } = inspect(unpacked, weightsFile);
    const config = readJson(unpacked, 'config.json') as Taken['config'];
    const checkpoint = openWeights(unpacked, weightsFile, config);
    const model = buildModel({ config, checkpoint, precision: precisionOf(dtype, 'decoder') });
    return { model, config, origins: found.kind === 'checkpoint' ? found.origins : [] };
  } finally {
    close();
  }
}

/** A copy, whose model may be changed. */
function copy(name: string, edit: (model: Model) => void = () => {}): string {
  const folder = mkdtempSync(join(root, 'copy-'));
  cpSync(pathOf(`${FIXTURES}/${name}`), folder, { recursive: true });
  const path = join(folder, 'model.onnx');
  const model = loadModel(path);
  edit(model);
  // Weights are read from the file that is replaced.
  writeFileSync(path, serialiseModel(model));
  return folder;
}

function fault(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof ShoalError && error.code === 'model_invalid') return error.message;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe.each([
  ['optimum-llama', 'fp32', 1e-5],
  ['genai-llama-fp32', 'fp32', 1e-5],
  // The tool's runtime rounds activations in its own way.
  ['genai-llama-int4', 'kept', 0.15],
  ['genai-llama-int4', 'fp32', 0.15],
])('%s in %s', (name, dtype, tolerance) => {
  test(`logits within ${tolerance} of its reference`, async () => {
    const { cases } = read<{ cases: readonly Case[] }>(`${FIXTURES}/${name}/expected.json`);
    const { model } = take(pathOf(`${FIXTURES}/${name}`), dtype);
    const loaded = { session: await runtime.createSession(serialiseModel(model)), info: decoderInfoOf(model)! };
    const rows = cases.map(({ input_ids: ids }) => ({ ids, rotaryLength: ids.length }));
    const found = await logitsOf(loaded, rows, 64);
    const largest = cases.map(({ last_logits }, n) => difference(found[n]!, last_logits));
    expect(Math.max(...largest)).toBeLessThan(tolerance);
    if (tolerance < 0.01) {
      const prompts = cases.map(({ input_ids }) => input_ids);
      const texts = await generate(loaded, prompts, { maxTokens: NEW_TOKENS, stopIds: [], chunk: 64 });
      expect(texts).toEqual(cases.map(({ greedy_ids }) => greedy_ids));
    }
    await loaded.session.release();
  });
});

test('blocks are those of the file, and the form is named', () => {
  const path = pathOf(`${FIXTURES}/genai-llama-int4`);
  const { model, origins } = take(path, 'kept');
  const file = loadModel(join(path, 'model.onnx')).graph.initializers;
  const own = model.graph.initializers;
  expect(own.get('model.layers.1.mlp.down_proj.weight.int4')!.data.bytes()).toEqual(
    file.get('model.layers.1.mlp.down_proj.MatMul.weight_Q4')!.data.bytes(),
  );
  expect(own.get('lm_head.weight.int4')!.data.bytes()).toEqual(file.get('lm_head.MatMul.weight_Q4')!.data.bytes());
  expect(model.graph.nodes.filter(({ op }) => op === 'MatMulNBits')).toHaveLength(9);
  // Queries, keys and values are three of seven matrices in a layer.
  expect(origins).toEqual(['ONNX int4, blocks of 32: 15 matrices']);
});

test('a config.json is made of genai_config.json and the graph', () => {
  const { config } = take(pathOf(`${FIXTURES}/genai-llama-fp32`), 'fp32');
  const original = read<Taken['config']>(`${FIXTURES}/optimum-llama/config.json`);
  const same = ['architectures', 'vocab_size', 'hidden_size', 'intermediate_size', 'num_hidden_layers', 'head_dim'];
  const more = ['num_attention_heads', 'num_key_value_heads', 'max_position_embeddings', 'rms_norm_eps', 'rope_theta'];
  for (const field of [...same, ...more, 'hidden_act', 'attention_bias', 'mlp_bias', 'eos_token_id']) {
    expect([field, config[field]]).toEqual([field, original[field]]);
  }
});

describe('of a folder with several files', () => {
  const folder = join(root, 'several');
  beforeAll(() => {
    mkdirSync(join(folder, 'onnx'), { recursive: true });
    cpSync(pathOf(`${FIXTURES}/optimum-llama/config.json`), join(folder, 'config.json'));
    cpSync(pathOf(`${FIXTURES}/optimum-llama/tokenizer.json`), join(folder, 'tokenizer.json'));
    saveModel(loadModel(pathOf(`${FIXTURES}/optimum-llama/model.onnx`)), join(folder, 'onnx/model.onnx'));
    saveModel(loadModel(pathOf(`${FIXTURES}/genai-llama-int4/model.onnx`)), join(folder, 'onnx/model_q4.onnx'));
  });

  test.each([
    [[], 'model.onnx'],
    [['fp32'], 'model.onnx'],
    [['fp32', 'int4'], 'model.onnx'],
    [['int4'], 'model_q4.onnx'],
    [['kept', 'int4-h8'], 'model_q4.onnx'],
  ])('--dtype %j takes %s', (dtypes, file) => {
    const source = openSource(folder, dtypes);
    source.close();
    expect(source.weightsFile).toBe(join(folder, 'onnx', file));
  });

  test('a checkpoint beside them is what is taken', () => {
    writeFileSync(join(folder, 'model.safetensors'), '');
    expect(openSource(folder).weightsFile).toBeUndefined();
    rmSync(join(folder, 'model.safetensors'));
  });
});

test('an embedding model is one with its modules, which are read beside the graph and recorded', () => {
  const folder = copy('optimum-llama');
  const dense = pathOf('test/fixtures/checkpoints/st-dense-tanh/2_Dense');
  cpSync(dense, join(folder, '2_Dense'), { recursive: true });
  mkdirSync(join(folder, '1_Pooling'));
  writeFileSync(join(folder, '1_Pooling/config.json'), '{"pooling_mode_lasttoken":true}');
  const modules = ['', '1_Pooling', '2_Dense'].map((path, n) => ({
    path,
    type: `sentence_transformers.models.${['Transformer', 'Pooling', 'Dense'][n]}`,
  }));
  writeFileSync(join(folder, 'modules.json'), JSON.stringify(modules));
  const source = openSource(folder);
  try {
    expect(inspect(source.folder, source.weightsFile).found).toMatchObject({ task: 'feature-extraction' });
    expect(source.beside).toEqual(
      expect.arrayContaining(['config.json', 'tokenizer.json', '1_Pooling/config.json', '2_Dense/model.safetensors']),
    );
  } finally {
    source.close();
  }
});

test.each<[string, string, (model: Model) => void]>([
  [
    'multiplies by MatMulInteger',
    'optimum-llama',
    ({ graph }) => {
      graph.nodes.find(({ name }) => name.endsWith('/up_proj/MatMul'))!.op = 'MatMulInteger';
    },
  ],
  [
    'what the weights onnx::MatMul_733 are for is not known',
    'optimum-llama',
    ({ graph }) => {
      graph.nodes.find(({ name }) => name.endsWith('layers.0/self_attn/q_proj/MatMul'))!.name = 'node_1';
    },
  ],
  [
    'without g_idx',
    'genai-llama-int4',
    ({ graph }) => {
      const node = graph.nodes.find(({ op }) => op === 'MatMulNBits')!;
      node.inputs = [...node.inputs.slice(0, 3), '', 'g_idx'];
    },
  ],
  [
    'do not have the sizes',
    'genai-llama-int4',
    ({ graph }) => {
      graph.nodes.find(({ op }) => op === 'MatMulNBits')!.attributes.set('N', { type: 'int', value: 64n });
    },
  ],
  [
    '2 bits in blocks of 32 is not taken',
    'genai-llama-int4',
    ({ graph }) => {
      graph.nodes.find(({ op }) => op === 'MatMulNBits')!.attributes.set('bits', { type: 'int', value: 2n });
    },
  ],
  [
    'tables of unscaled positions',
    'genai-llama-fp32',
    ({ graph }) => {
      const table = graph.initializers.get('cos_cache')!;
      const values = new Float32Array(table.data.bytes().slice().buffer).map((value, n) =>
        n === 10 ? value / 2 : value,
      );
      graph.initializers.set('cos_cache', { ...table, data: dataOf(values) });
    },
  ],
  [
    'soft caps',
    'genai-llama-fp32',
    ({ graph }) => {
      const node = graph.nodes.find(({ op }) => op === 'GroupQueryAttention')!;
      node.attributes.set('softcap', { type: 'float', value: 30 });
    },
  ],
])('refused: %s', (words, name, edit) => {
  expect(fault(() => take(copy(name, edit), 'fp32'))).toContain(words);
});

test('without config.json, or of a class that genai_config.json cannot describe: refused with what to do', () => {
  const plain = copy('optimum-llama');
  rmSync(join(plain, 'config.json'));
  expect(fault(() => take(plain, 'fp32'))).toContain('config.json is missing: put the one');
  const other = copy('genai-llama-fp32');
  const settings = JSON.parse(readFileSync(join(other, 'genai_config.json'), 'utf8'));
  settings.model.type = 'gemma2';
  writeFileSync(join(other, 'genai_config.json'), JSON.stringify(settings));
  expect(fault(() => take(other, 'fp32'))).toMatch(/model\.type: "gemma2": put the config\.json/);
});

const { count, seed } = mutationsOf(500, 2);

test.each([['genai-llama-int4'], ['optimum-llama']])(
  `${count} mutations of %s, from seed ${seed}, are taken or refused in words`,
  (name) => {
    const folder = copy(name);
    const path = join(folder, 'model.onnx');
    const original = readFileSync(path);
    const pick = seeded(seed);
    let refused = 0;
    for (let n = 0; n < count; n++) {
      writeFileSync(path, mutateBytes(original, original.length, pick));
      try {
        serialiseModel(take(folder, n % 2 === 0 ? 'kept' : 'fp32').model);
      } catch (error) {
        if (!(error instanceof ShoalError) || error.code !== 'model_invalid') throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(0.3 * count);
    expect(refused).toBeLessThan(count);
  },
  120_000,
);
