/** config.json in its spellings: what is read, and what is refused by name. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ShoalError } from '@shoal/contracts';
import { decoderInfoOf } from '@shoal/models';
import { intOf, type Model, serialiseModel } from '@shoal/onnx';
import { describe, expect, test } from 'vitest';
import { architectureOf, buildModel } from '../architectures/table.js';
import { Checkpoint, openCheckpoint } from '../checkpoint.js';
import { float32 } from '../precision/float32.js';
import { readSafetensors, type StoredTensor } from '../safetensors.js';
import { OLD_SPELLINGS } from '../testing/decoders.js';
import { readRotary } from './rotary-config.js';

const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/checkpoints', import.meta.url));

type Json = Readonly<Record<string, unknown>>;

function build(name: string, changes: Json = {}, generationConfig?: Json): Model {
  const config = { ...(JSON.parse(readFileSync(`${FIXTURES}/${name}/config.json`, 'utf8')) as Json), ...changes };
  const checkpoint = openCheckpoint(`${FIXTURES}/${name}`);
  return buildModel({ config, generationConfig, checkpoint, precision: float32 });
}

function fault(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ShoalError && error.code === 'model_invalid') return error.message;
    throw error;
  }
  return 'none';
}

describe('rotary embedding', () => {
  test.each([
    ['llama', { rope_theta: 10_000, rope_scaling: null }],
    ['llama-linear', { rope_theta: 10_000, rope_scaling: { type: 'linear', factor: 2 } }],
    ['llama-dynamic', { rope_theta: 10_000, rope_scaling: { rope_type: 'dynamic', factor: 2 } }],
    ['llama-yarn', { rope_scaling: { type: 'yarn', factor: 4, original_max_position_embeddings: 48 } }],
  ])('%s is the same graph in the old spelling', (name, old) => {
    const graph = serialiseModel(build(name, { rope_parameters: undefined, ...old }));
    expect(Buffer.compare(graph, serialiseModel(build(name)))).toBe(0);
  });

  test.each(OLD_SPELLINGS)('%s is the same graph with the config.json of hubs', (name) => {
    const hub = JSON.parse(readFileSync(`${FIXTURES}/${name}/config.hub.json`, 'utf8')) as Json;
    const checkpoint = openCheckpoint(`${FIXTURES}/${name}`);
    const graph = serialiseModel(buildModel({ config: hub, checkpoint, precision: float32 }));
    expect(Buffer.compare(graph, serialiseModel(build(name)))).toBe(0);
  });

  test('the context is what the positions are stretched to', () => {
    const contextOf = (name: string) => decoderInfoOf(build(name))!.maxContext;
    expect(contextOf('llama-linear')).toBe(192);
    expect(contextOf('llama-dynamic')).toBe(2 * 48);
    const stretched = { rope_type: 'yarn', rope_theta: 1e4, factor: 8, original_max_position_embeddings: 48 };
    expect(decoderInfoOf(build('llama-yarn', { rope_parameters: stretched }))!.maxContext).toBe(8 * 48);
  });

  test("YaRN's scale is the one given, or follows from factor, mscale and mscale_all_dim", () => {
    const scaleOf = (more: Json) => {
      const rope_parameters = { rope_type: 'yarn', factor: 40, original_max_position_embeddings: 4096, ...more };
      return readRotary({ max_position_embeddings: 163_840, rope_parameters }, 64).rotary.scale;
    };
    expect(scaleOf({})).toBeCloseTo(1.36889, 5);
    expect(scaleOf({ mscale: 0.8 })).toBeCloseTo(1.36889, 5);
    expect(scaleOf({ attention_factor: 0.5 })).toBe(0.5);
    expect(scaleOf({ mscale: 1, mscale_all_dim: 1 })).toBe(1);
    expect(scaleOf({ mscale: 0.8, mscale_all_dim: 1 })).toBeCloseTo(1.29511 / 1.36889, 5);
  });
});

test('windows are those of the layers that have one', () => {
  const windowsOf = (name: string, changes: Json) =>
    build(name, changes)
      .graph.nodes.filter(({ op }) => op === 'GroupQueryAttention')
      .map((node) => intOf(node, 'local_window_size', -1));
  const upper = { use_sliding_window: true, sliding_window: 20 };
  expect(windowsOf('qwen2', { ...upper, layer_types: undefined, max_window_layers: 1 })).toEqual([192, 20]);
  expect(windowsOf('qwen3', { ...upper, layer_types: ['sliding_attention', 'full_attention'] })).toEqual([20, 192]);
  expect(windowsOf('mistral', {})).toEqual([20, 20]);
  expect(windowsOf('mistral', { sliding_window: null })).toEqual([192, 192]);
  expect(windowsOf('mistral', { sliding_window: undefined, max_position_embeddings: 8192 })).toEqual([4096, 4096]);
});

test('what ends a text comes from generation_config.json, else from config.json', () => {
  expect(decoderInfoOf(build('llama'))!.eosTokenIds).toEqual([1]);
  expect(decoderInfoOf(build('llama', {}, { eos_token_id: [4, 9] }))!.eosTokenIds).toEqual([4, 9]);
  expect(fault(() => build('llama', {}, { eos_token_id: 'two' }))).toContain('generation_config.json: eos_token_id');
});

test.each<[field: string, name: string, changes: Json]>([
  ['hidden_size', 'llama', { hidden_size: undefined }],
  ['head_dim', 'llama', { head_dim: 13 }],
  ['num_key_value_heads', 'llama', { num_key_value_heads: 4 }],
  ['hidden_act', 'llama', { hidden_act: 'xielu' }],
  ['auto_map', 'llama', { auto_map: { AutoModel: 'modeling.Model' } }],
  ['partial_rotary_factor', 'llama', { partial_rotary_factor: 0.5 }],
  ['rope_parameters.rope_type', 'llama', { rope_parameters: { rope_type: 'longrope' } }],
  ['rope_parameters.factor', 'llama', { rope_parameters: { rope_type: 'linear' } }],
  ['full_attention', 'llama', { rope_parameters: { full_attention: { rope_type: 'default' } } }],
  ['layer_types', 'qwen3', { layer_types: ['full_attention'] }],
  ['no_rope_layers', 'llama', { no_rope_layers: [1, 0] }],
  ['embedding_multiplier', 'llama', { embedding_multiplier: 12 }],
  ['attn_logit_softcapping', 'mistral', { attn_logit_softcapping: 50 }],
  ['use_bidirectional_attention', 'gemma3', { use_bidirectional_attention: true }],
  ['rope_parameters', 'gemma3', { rope_parameters: { rope_type: 'default' } }],
  ['sliding_window', 'gemma2', { sliding_window: null }],
  ['query_pre_attn_scalar', 'gemma2', { query_pre_attn_scalar: 0 }],
  [
    'rope_parameters.long_factor',
    'phi3-longrope',
    { rope_parameters: { rope_type: 'longrope', short_factor: [1, 1, 1, 1, 1, 1, 1, 1] } },
  ],
  ['partial_rotary_factor', 'phi3', { rope_parameters: { partial_rotary_factor: 0.1 } }],
  ['no_rope_layers', 'smollm3', { no_rope_layers: [1, 0] }],
  ['residual_multiplier', 'granite', { residual_multiplier: 'much' }],
  ['text_config', 'gemma3-conditional', { text_config: 7 }],
  ['layer_types', 'qwen3', { layer_types: ['linear_attention', 'full_attention'] }],
  ['sliding_window', 'qwen2', { use_sliding_window: true, sliding_window: null }],
  ['vocab_size', 'llama', { vocab_size: 1e12 }],
])('%s is named where it keeps %s from being imported: %j', (field, name, changes) => {
  expect(fault(() => build(name, changes))).toContain(field);
});

test('an architecture that is not known is named, with those that are', () => {
  const message = fault(() => architectureOf({ architectures: ['GrokForCausalLM'] }));
  expect(message).toMatch(
    /"GrokForCausalLM" is not supported\. Of models that generate text .*: Llama, .*Gemma3, [^B]*$/,
  );
  expect(fault(() => architectureOf({ architectures: ['T5EncoderModel'] }))).toMatch(
    /: Bert, ((?!Llama).)*export the model \(optimum-cli/,
  );
  expect(fault(() => architectureOf({ architectures: ['constructor'] }))).toContain('not supported');
  expect(fault(() => architectureOf('llama'))).toContain('architectures');
  expect(architectureOf({ model_type: 'llama' })).toBe(architectureOf({ architectures: ['LlamaForCausalLM'] }));
});

describe('a checkpoint', () => {
  const config: unknown = JSON.parse(readFileSync(`${FIXTURES}/llama/config.json`, 'utf8'));
  const tensors = readSafetensors(`${FIXTURES}/llama/model.safetensors`);
  const buildFrom = (change: (all: Map<string, StoredTensor>) => void, more: Json = {}) => {
    const changed = new Map(tensors);
    change(changed);
    return buildModel({
      config: { ...(config as Json), ...more },
      checkpoint: new Checkpoint(changed),
      precision: float32,
    });
  };
  const embedding = tensors.get('model.embed_tokens.weight')!;

  test('with a tensor that nobody uses, or without one that is needed, is refused by its name', () => {
    expect(fault(() => buildFrom((all) => all.set('model.layers.0.self_attn.sinks', embedding)))).toContain(
      'self_attn.sinks',
    );
    expect(fault(() => buildFrom((all) => all.delete('model.norm.weight')))).toContain('model.norm.weight');
    expect(fault(() => build('llama-bias', { attention_bias: false }))).toContain('q_proj.bias');
  });

  test('may have the frequencies that old versions saved', () => {
    expect(fault(() => buildFrom((all) => all.set('model.layers.0.self_attn.rotary_emb.inv_freq', embedding)))).toBe(
      'none',
    );
  });

  test('with tied embeddings may have the head too, where it is the same', () => {
    const tied = { tie_word_embeddings: true };
    expect(fault(() => buildFrom((all) => all.set('lm_head.weight', embedding), tied))).toBe('none');
    expect(fault(() => buildFrom(() => {}, tied))).toContain('tie_word_embeddings');
  });
});
