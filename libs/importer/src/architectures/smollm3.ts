/** SmolLM3: Llama whose every fourth layer, or those of a list, know no positions. */
import { z } from 'zod';
import { size } from '../config-fields.js';
import { type LayerType, readFamilyConfig, windowOf } from '../decoder/config.js';
import { decoderFamily } from '../decoder/family.js';
import { readRotary } from '../decoder/rotary-config.js';
import { LLAMA } from '../decoder/traits.js';
import { invalid } from '../invalid.js';

const Own = z.object({
  /** 1 where queries and keys are rotated. */
  no_rope_layers: z.array(z.union([z.literal([0, 1]), z.boolean()])).nullish(),
  no_rope_layer_interval: size.nullish().transform((interval) => interval ?? 4),
});

/** transformers' own. */
const DEFAULTS = { tie_word_embeddings: true };
const THETA = 2e6;

export const smollm3 = decoderFamily({ name: 'SmolLM3' }, (request) => {
  const { config, own } = readFamilyConfig(request, { own: Own, defaults: DEFAULTS });
  const { fields, headDim, layers } = config;
  const { rotary, maxContext } = readRotary(fields, headDim, { theta: THETA });
  const turned =
    own.no_rope_layers?.map(Boolean) ??
    Array.from({ length: layers }, (_, n) => (n + 1) % own.no_rope_layer_interval !== 0);
  if (turned.length !== layers) {
    throw invalid(`config.json: no_rope_layers has ${turned.length} entries for num_hidden_layers (${layers})`);
  }
  const size = fields.use_sliding_window ? fields.sliding_window : undefined;
  const types =
    fields.layer_types ?? turned.map((is): LayerType => (is || size == null ? 'full_attention' : 'sliding_attention'));
  const window = size == null ? () => undefined : windowOf(types, size);
  return {
    config,
    traits: {
      ...LLAMA,
      name: 'smollm3',
      maxContext,
      layer: (n) => ({ window: window(n), rotary: turned[n] ? rotary : undefined }),
      qkvBias: fields.attention_bias ?? false,
      outputBias: fields.attention_bias ?? false,
      mlpBias: fields.mlp_bias ?? false,
    },
  };
});
