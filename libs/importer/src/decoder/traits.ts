/** Where the architectures of decoders differ, as data: the file of each family fills one of these in. */
import type { Rotary } from './rotary-config.js';

/** Names of norms in a layer of the checkpoint. Where one is left out nothing is normalised. */
export interface LayerNorms {
  readonly beforeAttention?: string;
  /** Of what attention gives, before it is added to what went in. */
  readonly afterAttention?: string;
  readonly beforeFeedForward?: string;
  readonly afterFeedForward?: string;
}

export interface LayerTraits {
  /** How many tokens, itself included, a token sees; undefined where it sees all. */
  readonly window: number | undefined;
  /** Undefined where queries and keys know no positions (NoPE, arxiv.org/abs/2305.19466). Layers of the same have one table. */
  readonly rotary: Rotary | undefined;
}

export interface Traits {
  readonly name: string;
  /** The longest text, in tokens. */
  readonly maxContext: number;
  readonly layer: (n: number) => LayerTraits;
  readonly norms: LayerNorms;
  /** What is added to the gains of norms as the checkpoint has them. */
  readonly gainOffset: 0 | 1;
  /** Of queries and keys before they are rotated: each head by itself, or all heads of a token together. */
  readonly queryKeyNorms: 'none' | 'heads' | 'tokens';
  /** Biases of the projections to queries, keys and values. */
  readonly qkvBias: boolean;
  /** Of the projection after attention. */
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  /** Whether the checkpoint has queries, keys and values in one matrix (`qkv_proj`), and gate and up too (`gate_up_proj`). */
  readonly packed: boolean;
  /** Products of queries and keys are multiplied by it; undefined: 1 / sqrt(headDim). */
  readonly attentionScale: number | undefined;
  /** Bounds the products to ± cap, as cap * tanh(product / cap); undefined: no bound. */
  readonly attentionCap: number | undefined;
  readonly logitCap: number | undefined;
  /** Whether tokens see those behind them too, as in models that make embeddings only. */
  readonly bidirectional: boolean;
  /** What the embedding is multiplied by. */
  readonly embeddingScale: number;
  /** What each part of a layer is multiplied by before it is added. */
  readonly residualScale: number;
  /** What logits are divided by. */
  readonly logitDivisor: number;
}

/** Llama's, which others change here and there. */
export const LLAMA: Omit<Traits, 'name' | 'maxContext' | 'layer'> = {
  norms: { beforeAttention: 'input_layernorm', beforeFeedForward: 'post_attention_layernorm' },
  gainOffset: 0,
  queryKeyNorms: 'none',
  qkvBias: false,
  outputBias: false,
  mlpBias: false,
  packed: false,
  attentionScale: undefined,
  attentionCap: undefined,
  logitCap: undefined,
  bidirectional: false,
  embeddingScale: 1,
  residualScale: 1,
  logitDivisor: 1,
};
