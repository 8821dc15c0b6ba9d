/** A Llama checkpoint as llama.cpp reads it. */
import { renameSync } from 'node:fs';
import type { Checkpoint } from '@shoal/importer';
import { type LlamaShape, MAX_CONTEXT } from '../random-llama.js';
import { type BlockType, type GgufTensor, type GgufValue, writeGguf } from './gguf.js';

/** All weights in blocks of one type, the embedding too, which is the head as well: as Shoal's 4-bit variants have it. */
export function writeLlamaGguf(path: string, checkpoint: Checkpoint, shape: LlamaShape, type: BlockType): void {
  const unfinished = `${path}.unfinished`;
  writeGguf(
    unfinished,
    { ...metadataOf(shape), ...vocabularyOf(shape.vocabulary) },
    tensorsOf(checkpoint, shape, type),
  );
  renameSync(unfinished, path);
}

function metadataOf({ layers, width, heads, kvHeads, inner, vocabulary }: LlamaShape): Record<string, GgufValue> {
  const count = (value: number): GgufValue => ({ kind: 'uint32', value });
  return {
    'general.architecture': { kind: 'string', value: 'llama' },
    'general.name': { kind: 'string', value: 'random' },
    'llama.context_length': count(MAX_CONTEXT),
    'llama.embedding_length': count(width),
    'llama.block_count': count(layers),
    'llama.feed_forward_length': count(inner),
    'llama.attention.head_count': count(heads),
    'llama.attention.head_count_kv': count(kvHeads),
    'llama.attention.layer_norm_rms_epsilon': { kind: 'float32', value: 1e-5 },
    'llama.rope.dimension_count': count(width / heads),
    'llama.rope.freq_base': { kind: 'float32', value: 10_000 },
    'llama.vocab_size': count(vocabulary),
  };
}

/** Only ids are given and taken: three special tokens, a token for each byte, and names. */
function vocabularyOf(size: number): Record<string, GgufValue> {
  const special = ['<unk>', '<s>', '</s>'];
  const bytes = Array.from({ length: 256 }, (_, n) => `<0x${n.toString(16).toUpperCase().padStart(2, '0')}>`);
  const known = [...special, ...bytes];
  const names = Array.from({ length: size - known.length }, (_, n) => `▁t${n}`);
  // llama_token_type: unknown, control, byte, normal.
  const types = [2, 3, 3, ...bytes.map(() => 6), ...names.map(() => 1)];
  return {
    'tokenizer.ggml.model': { kind: 'string', value: 'llama' },
    'tokenizer.ggml.tokens': { kind: 'strings', value: [...known, ...names] },
    'tokenizer.ggml.scores': { kind: 'float32s', value: types.map(() => 0) },
    'tokenizer.ggml.token_type': { kind: 'int32s', value: types },
    'tokenizer.ggml.bos_token_id': { kind: 'uint32', value: 1 },
    'tokenizer.ggml.eos_token_id': { kind: 'uint32', value: 2 },
  };
}

function tensorsOf(checkpoint: Checkpoint, shape: LlamaShape, type: BlockType): GgufTensor[] {
  const { layers, width, heads, kvHeads, inner, vocabulary } = shape;
  const kvWidth = (kvHeads * width) / heads;
  const gain = (name: string, from: string): GgufTensor => ({
    ...{ name: `${name}.weight`, shape: [width], type: 'f32' },
    read: () => checkpoint.vector(`${from}.weight`, width),
  });
  const weight = (name: string, from: string, rows: number, columns: number, rotatedHeads?: number): GgufTensor => {
    const read = () => checkpoint.matrix(`${from}.weight`, rows, columns).read();
    const inOrder = rotatedHeads === undefined ? read : () => inPairs(read(), rotatedHeads, rows, columns);
    return { name: `${name}.weight`, shape: [rows, columns], type, read: inOrder };
  };
  const layer = (n: number): GgufTensor[] => {
    const [to, from] = [`blk.${n}`, `model.layers.${n}`];
    return [
      gain(`${to}.attn_norm`, `${from}.input_layernorm`),
      weight(`${to}.attn_q`, `${from}.self_attn.q_proj`, width, width, heads),
      weight(`${to}.attn_k`, `${from}.self_attn.k_proj`, kvWidth, width, kvHeads),
      weight(`${to}.attn_v`, `${from}.self_attn.v_proj`, kvWidth, width),
      weight(`${to}.attn_output`, `${from}.self_attn.o_proj`, width, width),
      gain(`${to}.ffn_norm`, `${from}.post_attention_layernorm`),
      weight(`${to}.ffn_gate`, `${from}.mlp.gate_proj`, inner, width),
      weight(`${to}.ffn_up`, `${from}.mlp.up_proj`, inner, width),
      weight(`${to}.ffn_down`, `${from}.mlp.down_proj`, width, inner),
    ];
  };
  return [
    weight('token_embd', 'model.embed_tokens', vocabulary, width),
    ...Array.from({ length: layers }, (_, n) => layer(n)).flat(),
    gain('output_norm', 'model.norm'),
  ];
}

/** llama.cpp turns neighbours; Hugging Face turns dimension i of a head with i + half of it (convert_hf_to_gguf.py, permute). */
function inPairs(values: Float32Array, heads: number, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  const head = rows / heads;
  for (let row = 0; row < rows; row++) {
    const [start, place] = [row - (row % head), row % head];
    const from = start + (place >> 1) + (place % 2) * (head / 2);
    out.set(values.subarray(from * columns, (from + 1) * columns), row * columns);
  }
  return out;
}
