/** NomicBERT and GTE: BERT's layers with rotary positions and gated maps. They differ in names and in what has a bias. */
import type { Model } from '@shoal/onnx';
import type { Activation } from '../config-fields.js';
import type { Precision } from '../precision/types.js';
import type { Weights } from '../weights.js';
import { addEmbeddings, type EmbeddingTables } from './embeddings.js';
import { EncoderGraph } from './graph.js';
import { finishBert, type Head } from './heads.js';
import { type LayerTensors, postNormLayers } from './post-norm.js';
import { rotaryTables } from './rotary.js';

export interface RotaryBert {
  readonly name: string;
  readonly whole: Weights;
  /** What is below the classes' name for the model without a head. */
  readonly trunk: Weights;
  readonly embeddings: EmbeddingTables;
  /** Of the embeddings, below the trunk. */
  readonly embeddingNorm: string;
  readonly layers: readonly Weights[];
  readonly tensors: LayerTensors;
  readonly heads: number;
  readonly inner: number;
  readonly activation: Activation;
  readonly epsilon: number;
  /** Longest text in tokens. */
  readonly length: number;
  /** Radians per position. */
  readonly frequencies: Float64Array;
  readonly classes: number;
}

/** @throws ShoalError `model_invalid` naming the tensor that is missing or of another shape */
export function buildRotaryBert(family: RotaryBert, precision: Precision, head: Head): Model {
  const { name, whole, trunk, layers, tensors, heads, inner, activation, epsilon, classes } = family;
  const { width } = family.embeddings;
  const e = new EncoderGraph(name, precision);
  const summed = addEmbeddings(e, trunk.within('embeddings'), family.embeddings);
  const embedded = e.norm(summed, trunk.norm(family.embeddingNorm, width), epsilon);
  const rotary = rotaryTables(e, 'rotary', family.length, family.frequencies);
  const shape = { width, heads, inner, activation, epsilon, rotary };
  const x = postNormLayers(e, embedded, layers, tensors, shape, head === 'texts');
  return finishBert(e, head, x, { whole, trunk, width, classes });
}

/** Names that transformers (5 and newer) has for the layers of both. */
export const TRANSFORMERS_LAYER = {
  out: 'self_attn.o_proj',
  attentionNorm: 'post_attention_layernorm',
  up: 'mlp.up_proj',
  upBias: false,
  gate: { map: 'mlp.gate_proj' },
  down: 'mlp.down_proj',
  outputNorm: 'post_mlp_layernorm',
} as const;
