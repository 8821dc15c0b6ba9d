/** A folder of one test's own that may hold anything: a small checkpoint to begin with, and what comes of an import. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { serialiseModel } from '@shoal/onnx';
import { afterAll, beforeEach, expect } from 'vitest';
import { architectureOf, buildModel } from '../architectures/table.js';
import { openCheckpoint } from '../checkpoint.js';
import { inspect } from '../import/inspect.js';
import { readJson } from '../import/source-files.js';
import { precisionOf } from '../precision/dtype.js';

/** What a checkpoint of a quarter of a megabyte may come to: tables of angles for a million tokens, at most. */
const MAX_BYTES = 160 * 1024 * 1024;

interface Entry {
  dtype: unknown;
  shape: unknown;
  data_offsets: unknown;
}

export function safetensors(tensors: Readonly<Record<string, readonly number[]>>): Buffer {
  const header: Record<string, Entry> = {};
  let end = 0;
  for (const [name, shape] of Object.entries(tensors)) {
    const bytes = 2 * shape.reduce((product, dim) => product * dim, 1);
    header[name] = { dtype: 'F16', shape, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  return withHeader(JSON.stringify(header), Buffer.alloc(end, 0x2e));
}

export function withHeader(header: string, data: Buffer, length = BigInt(Buffer.byteLength(header))): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt.asUintN(64, length));
  return Buffer.concat([prefix, Buffer.from(header), data]);
}

export const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  vocab_size: 32,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 8,
  max_position_embeddings: 16,
  tie_word_embeddings: true,
};

const LAYER = 'model.layers.0';
const ATTENTION = {
  'model.embed_tokens.weight': [32, 16],
  [`${LAYER}.self_attn.q_proj.weight`]: [16, 16],
  [`${LAYER}.self_attn.k_proj.weight`]: [8, 16],
  [`${LAYER}.self_attn.v_proj.weight`]: [8, 16],
  [`${LAYER}.self_attn.o_proj.weight`]: [16, 16],
};
export const REST = {
  [`${LAYER}.input_layernorm.weight`]: [16],
  [`${LAYER}.post_attention_layernorm.weight`]: [16],
  [`${LAYER}.mlp.gate_proj.weight`]: [24, 16],
  [`${LAYER}.mlp.up_proj.weight`]: [24, 16],
  [`${LAYER}.mlp.down_proj.weight`]: [16, 24],
  'model.norm.weight': [16],
};

const SHARDS = { 'model-1.safetensors': ATTENTION, 'model-2.safetensors': REST };

export interface StrangeFolder {
  /** Holds the folder, and is a place beside it. */
  readonly root: string;
  readonly folder: string;
  at(name: string): string;
  /** '' where the folder was imported, else why not. Anything else that is thrown is a fault. */
  attempt(dtype: string): string;
  /** Returns the safetensors file. */
  writeSingle(): Buffer;
  /** Returns the index. */
  writeShards(): string;
}

/** Empty before each test of the file that calls this. */
export function openStrangeFolder(): StrangeFolder {
  const root = mkdtempSync(join(tmpdir(), 'shoal-untrusted-'));
  const folder = join(root, 'model');
  const at = (name: string) => join(folder, name);
  beforeEach(() => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
  });
  afterAll(() => rmSync(root, { recursive: true }));

  function attempt(dtype: string): string {
    try {
      inspect(folder);
      const config = readJson(folder, 'config.json');
      const kind = architectureOf(config).task === 'text-generation' ? 'decoder' : 'encoder';
      const checkpoint = openCheckpoint(folder, config);
      const model = buildModel({ config, checkpoint, precision: precisionOf(dtype, kind) });
      const bytes = [...model.graph.initializers.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
      if (bytes > MAX_BYTES) throw new Error(`the model would need ${bytes} bytes`);
      serialiseModel(model);
      return '';
    } catch (error) {
      if (!(error instanceof ShoalError) || error.code !== 'model_invalid') throw error;
      expect(error.message).toMatch(/\w+:? \w+/);
      expect(error.message.length).toBeLessThan(2000);
      return error.message;
    }
  }

  function writeSingle(): Buffer {
    const bytes = safetensors({ ...ATTENTION, ...REST });
    writeFileSync(at('config.json'), JSON.stringify(CONFIG));
    writeFileSync(at('tokenizer.json'), '{}');
    writeFileSync(at('model.safetensors'), bytes);
    return bytes;
  }

  function writeShards(): string {
    writeFileSync(at('config.json'), JSON.stringify(CONFIG));
    writeFileSync(at('tokenizer.json'), '{}');
    const files: Record<string, string> = {};
    for (const [file, tensors] of Object.entries(SHARDS)) {
      writeFileSync(at(file), safetensors(tensors));
      for (const name of Object.keys(tensors)) files[name] = file;
    }
    const index = JSON.stringify({ metadata: { total_size: 1 }, weight_map: files });
    writeFileSync(at('model.safetensors.index.json'), index);
    return index;
  }

  return { root, folder, at, attempt, writeSingle, writeShards };
}
