/** ModernBERT (Warner et al. 2024): norms first, rotary positions, gated maps, and most layers attend nearby only. */
import type { Model, Value } from '@shoal/onnx';
import { z } from 'zod';
import {
  activation,
  classesOf,
  common,
  headSize,
  layerCount,
  MAX_CONTEXT,
  only,
  readConfig,
  size,
} from '../config-fields.js';
import { EncoderGraph } from '../encoder/graph.js';
import { finish, type Head } from '../encoder/heads.js';
import { frequenciesOf, type RotaryTables, rotaryTables, turn } from '../encoder/rotary.js';
import { Weights } from '../weights.js';
import type { Architecture } from './types.js';

const theta = z.number().positive();
const Rotary = z.object({ rope_theta: theta, rope_type: only('default') });

const Config = z.object({
  ...common,
  hidden_size: size,
  num_hidden_layers: layerCount,
  num_attention_heads: size,
  intermediate_size: size,
  max_position_embeddings: size.max(MAX_CONTEXT),
  hidden_activation: activation.default('gelu'),
  norm_eps: z.number().positive().default(1e-5),
  norm_bias: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  local_attention: size.default(128),
  global_attn_every_n_layers: size.default(3),
  layer_types: z.array(z.enum(['full_attention', 'sliding_attention'])).nullish(),
  /** Before transformers 5; then `rope_parameters`. */
  global_rope_theta: theta.default(160_000),
  local_rope_theta: theta.nullish(),
  rope_parameters: z.object({ full_attention: Rotary.nullish(), sliding_attention: Rotary.nullish() }).nullish(),
  classifier_pooling: z.enum(['cls', 'mean']).default('cls'),
  classifier_activation: activation.default('gelu'),
  classifier_bias: z.boolean().default(false),
});
type Config = z.infer<typeof Config>;

/** The head of pre-training (`head` itself is shared by the classifiers). */
const PRE_TRAINING = [/^decoder\./];
const HEAD = /^head\./;

interface Kind {
  readonly rotary: RotaryTables;
  /** Hides what is too far away; undefined in layers that see everything. */
  readonly bias: Value | undefined;
}

function build(head: Head): Architecture['build'] {
  return ({ config: json, checkpoint, precision }) => {
    const config = readConfig(Config, json);
    const { hidden_size: width, norm_eps: epsilon, num_attention_heads: heads } = config;
    const headWidth = headSize(width, heads);
    const whole = new Weights(checkpoint);
    const weights = whole.root('model');
    whole.ignore(...PRE_TRAINING, ...(head === 'none' ? [HEAD] : []));

    const e = new EncoderGraph('modernbert', precision);
    const norm = (from: Weights, name: string) => from.norm(name, width, config.norm_bias);
    const table = weights.matrix('embeddings.tok_embeddings.weight', config.vocab_size, width);
    const words = e.embedding(e.perToken(e.ids), weights.name('embeddings.tok_embeddings.weight'), table);
    let x = e.norm(words, norm(weights, 'embeddings.norm'), epsilon);

    const types = layerTypes(config);
    const kinds = new Map<string, Kind>();
    for (const [n, type] of types.entries()) {
      const kind = kinds.get(type) ?? makeKind(e, config, type, headWidth);
      kinds.set(type, kind);
      const layer = weights.within(`layers.${n}`);
      x = e.g.within(`layer.${n}`, () => {
        // The embeddings are normalised already.
        const normed = n === 0 ? x : e.norm(x, norm(layer, 'attn_norm'), epsilon);
        const middle = e.g.op('Add', [x, attention(e, normed, layer.within('attn'), config, kind)]);
        const grown = gated(e, e.norm(middle, norm(layer, 'mlp_norm'), epsilon), layer.within('mlp'), config);
        return e.g.op('Add', [middle, grown]);
      });
    }
    x = e.norm(x, norm(weights, 'final_norm'), epsilon);
    return head === 'none' ? finish(e, head, x, width) : classifier(e, head, x, whole, config);
  };
}

function layerTypes(config: Config): readonly ('full_attention' | 'sliding_attention')[] {
  const { num_hidden_layers: layers, global_attn_every_n_layers: every, layer_types: given } = config;
  return Array.from({ length: layers }, (_, n) => {
    return given?.[n] ?? (n % every === 0 ? 'full_attention' : 'sliding_attention');
  });
}

function attention(e: EncoderGraph, x: Value, weights: Weights, config: Config, kind: Kind): Value {
  const { hidden_size: width, num_attention_heads: heads, attention_bias: biased } = config;
  const packed = e.linear(x, weights.linear('Wqkv', width, 3 * width, biased));
  const [query = '', key = '', value = ''] = e.rows(packed, 3, width);
  const attended = e.attention({
    query: turn(e, query, kind.rotary, heads),
    key: turn(e, key, kind.rotary, heads),
    value,
    heads,
    width,
    bias: kind.bias,
  });
  return e.linear(e.tokens(attended, width), weights.linear('Wo', width, width, biased));
}

function gated(e: EncoderGraph, x: Value, weights: Weights, config: Config): Value {
  const { hidden_size: width, intermediate_size: inner, mlp_bias: biased } = config;
  const both = e.linear(x, weights.linear('Wi', width, 2 * inner, biased));
  const [grown = '', gate = ''] = e.g.ops('Split', [both, e.g.ints([inner, inner])], 2, { axis: -1 });
  const product = e.g.op('Mul', [e.activate(grown, config.hidden_activation), gate]);
  return e.linear(product, weights.linear('Wo', inner, width, biased));
}

function makeKind(e: EncoderGraph, config: Config, type: string, headWidth: number): Kind {
  const local = type === 'sliding_attention';
  const rotary = config.rope_parameters?.[local ? 'sliding_attention' : 'full_attention'];
  const old = local ? (config.local_rope_theta ?? config.global_rope_theta) : config.global_rope_theta;
  const base = rotary?.rope_theta ?? old;
  return {
    rotary: rotaryTables(e, type, config.max_position_embeddings, frequenciesOf(base, headWidth)),
    bias: local ? e.nearby(Math.floor(config.local_attention / 2)) : undefined,
  };
}

function classifier(e: EncoderGraph, head: 'texts' | 'tokens', x: Value, weights: Weights, config: Config): Model {
  const { hidden_size: width, classifier_bias: biased, norm_eps: epsilon } = config;
  const mean = head === 'texts' && config.classifier_pooling === 'mean';
  const pooled = head === 'tokens' ? x : mean ? e.mean(x, width) : e.first(x);
  const dense = e.linear(pooled, weights.linear('head.dense', width, width, biased));
  const normed = e.norm(
    e.activate(dense, config.classifier_activation),
    weights.norm('head.norm', width, config.norm_bias),
    epsilon,
  );
  const classes = classesOf(config);
  return finish(e, head, e.classify(normed, weights.linear('classifier', width, classes)), classes);
}

/** By the class that config.json names. */
export const modernbert: Readonly<Record<string, Architecture>> = {
  ModernBertModel: { task: 'feature-extraction', build: build('none') },
  ModernBertForMaskedLM: { task: 'feature-extraction', build: build('none') },
  ModernBertForSequenceClassification: { task: 'text-classification', build: build('texts') },
  ModernBertForTokenClassification: { task: 'token-classification', build: build('tokens') },
};
