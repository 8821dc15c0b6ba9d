/** Where the heads of attention are in a checkpoint, and which of its architectures can do with fewer. */
import type { Checkpoint } from '@shoal/importer';
import type { Anatomy } from './anatomy.js';
import { edit, fieldsOf } from './edits.js';

export interface AttentionAnatomy {
  /** Maps of a layer, by their names in it; what makes queries, keys and values may be one. */
  readonly query: string;
  readonly key: string | undefined;
  readonly value: string | undefined;
  readonly out: string;
  readonly heads: number;
  /** Heads that share keys and values go together: as many groups as there are of those. */
  readonly groups: number;
  readonly headDim: number;
}

/** Where every head is like every other: no positions by head, no norm over all of them. */
const KNOWN =
  /^(Bert|Roberta|XLMRoberta|Camembert|Electra|DistilBert|Llama|Mistral|Qwen2|Qwen3|Gemma2|Gemma3|Gemma3Text|Phi3|Granite|SmolLM3)(Model|For\w+)$/;

const NAMES = [
  ['attention.self.query', 'attention.self.key', 'attention.self.value', 'attention.output.dense'],
  ['attention.q_lin', 'attention.k_lin', 'attention.v_lin', 'attention.out_lin'],
  ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj'],
  ['self_attn.qkv_proj', undefined, undefined, 'self_attn.o_proj'],
] as const;

const HEADS = ['num_attention_heads', 'n_heads'] as const;

/** A text says why not. */
export function attentionOf(config: unknown, { stored }: Checkpoint, { prefix }: Anatomy): AttentionAnatomy | string {
  const [name = ''] = (config as { readonly architectures?: readonly string[] | null }).architectures ?? [];
  if (!KNOWN.test(name)) return `heads of ${name || 'this architecture'} are not alike, or share a norm`;
  const fields = fieldsOf(config);
  const heads = HEADS.map((field) => fields[field]).find((value) => typeof value === 'number');
  const names = NAMES.find(([query]) => stored.has(`${prefix}0.${query}.weight`));
  const all = names && stored.get(`${prefix}0.${names[3]}.weight`)?.shape[1];
  if (heads === undefined || names === undefined || all === undefined)
    return 'config.json does not say how many heads it has';
  const [query, key, value, out] = names;
  const groups = typeof fields.num_key_value_heads === 'number' ? fields.num_key_value_heads : heads;
  return { query, key, value, out, heads, groups, headDim: all / heads };
}

/** config.json with as many groups of heads. */
export function withGroups(config: unknown, { heads, groups, headDim }: AttentionAnatomy, kept: number): unknown {
  return edit(config, (fields) => {
    const name = HEADS.find((field) => typeof fields[field] === 'number')!;
    return {
      ...fields,
      [name]: (heads / groups) * kept,
      ...(typeof fields.num_key_value_heads === 'number' && { num_key_value_heads: kept }),
      head_dim: headDim,
    };
  });
}
