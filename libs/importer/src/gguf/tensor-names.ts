/** Tensors of a GGUF file by the names that Hugging Face's checkpoints have for them. */

/** Of a layer: what stands between `model.layers.N.` and `.weight`, by what stands behind `blk.N.`. */
const LLAMA: Readonly<Record<string, string>> = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_qkv: 'self_attn.qkv_proj',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
  attn_output: 'self_attn.o_proj',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};

/** Of the families with norms behind both parts of a layer. */
const NORMS_BEHIND: Readonly<Record<string, string>> = {
  ...LLAMA,
  post_attention_norm: 'post_attention_layernorm',
  post_ffw_norm: 'post_feedforward_layernorm',
  ffn_norm: 'pre_feedforward_layernorm',
};

const PACKED: Readonly<Record<string, string>> = { ...LLAMA, ffn_up: 'mlp.gate_up_proj' };

export const LAYER_NAMES = { llama: LLAMA, normsBehind: NORMS_BEHIND, packed: PACKED } as const;

const OUTER: Readonly<Record<string, string>> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
};

/** Undefined for names that the family does not have. */
export function checkpointName(name: string, names: Readonly<Record<string, string>>): string | undefined {
  const [, layer, stem = '', end = ''] = /^(?:blk\.(\d{1,5})\.)?(\w+)\.(weight|bias)$/.exec(name) ?? [];
  const table = layer === undefined ? OUTER : names;
  if (!Object.hasOwn(table, stem)) return undefined;
  return layer === undefined ? `${table[stem]}.${end}` : `model.layers.${Number(layer)}.${table[stem]}.${end}`;
}
