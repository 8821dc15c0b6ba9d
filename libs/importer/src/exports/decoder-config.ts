/**
 * The config.json of a decoder that another tool exported: the folder's own or, where ONNX Runtime GenAI's builder has left none,
 * what its genai_config.json and the graph say.
 */
import { describeIssue } from '@shoal/contracts';
import { floatOf, type Graph, intOf, type Node, type Tensor } from '@shoal/onnx';
import { z } from 'zod';
import { readConfig, size } from '../config-fields.js';
import { invalid } from '../invalid.js';
import { finiteFloats } from '../numbers.js';
import { HEAD, type Heads } from './decoder-tensors.js';

export type Config = Readonly<Record<string, unknown>>;

const REMEDY = 'put the config.json of the model that it was made from into the folder';

/** By the builder's name of the architecture. */
const CLASSES: Readonly<Record<string, string>> = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
};

const Genai = z.object({
  model: z.object({
    type: z.string(),
    context_length: size,
    vocab_size: size,
    bos_token_id: z.int().min(0).nullish(),
    eos_token_id: z.union([z.int().min(0), z.array(z.int().min(0))]).nullish(),
    decoder: z.object({
      head_size: size,
      hidden_size: size,
      num_attention_heads: size,
      num_hidden_layers: size,
      num_key_value_heads: size,
    }),
  }),
});

/** @throws ShoalError `model_invalid` where something is not said, or differs from what the graph of the class computes */
export function genaiConfig(json: unknown, graph: Graph): Config {
  const parsed = Genai.safeParse(json, { error: describeIssue });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(`genai_config.json: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { model } = parsed.data;
  const name = Object.hasOwn(CLASSES, model.type) ? CLASSES[model.type] : undefined;
  if (name === undefined)
    throw invalid(`genai_config.json: model.type: ${JSON.stringify(model.type.slice(0, 60))}: ${REMEDY}`);
  const { decoder } = model;
  const window = attentionOf(graph);
  const { attention, mlp } = biasesOf(graph);
  return {
    architectures: [name],
    model_type: model.type,
    vocab_size: model.vocab_size,
    hidden_size: decoder.hidden_size,
    intermediate_size: innerOf(graph),
    num_hidden_layers: decoder.num_hidden_layers,
    num_attention_heads: decoder.num_attention_heads,
    num_key_value_heads: decoder.num_key_value_heads,
    head_dim: decoder.head_size,
    max_position_embeddings: model.context_length,
    rms_norm_eps: epsilonOf(graph),
    rope_theta: thetaOf(graph, decoder.head_size),
    hidden_act: 'silu',
    sliding_window: window,
    use_sliding_window: window !== null,
    attention_bias: attention,
    mlp_bias: mlp,
    tie_word_embeddings: false,
    bos_token_id: model.bos_token_id,
    eos_token_id: model.eos_token_id,
  };
}

const HeadFields = z.object({
  hidden_size: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
});

/** @throws ShoalError `model_invalid` naming the field that is missing */
export function headsOf(config: unknown): Heads {
  const fields = readConfig(HeadFields, config);
  const queries = fields.num_attention_heads;
  const width = fields.head_dim ?? fields.hidden_size / queries;
  return { queries, keys: fields.num_key_value_heads ?? queries, width };
}

/** An export may have a head in blocks beside the floats of the embedding that it was tied to. */
export function untied(config: unknown, tensors: ReadonlyMap<string, object>): unknown {
  const inBlocks = 'matrix' in (tensors.get(HEAD) ?? {});
  return inBlocks ? { ...(config as Config), tie_word_embeddings: false } : config;
}

/** The window of all layers, null where there is none. @throws ShoalError `model_invalid` where attention is another one */
function attentionOf({ nodes }: Graph): number | null {
  const layers = nodes.filter(({ op }) => op === 'GroupQueryAttention');
  const [first] = layers;
  if (first === undefined) throw invalid(`the graph computes attention in another way than the builder's: ${REMEDY}`);
  const windows = new Set(layers.map((node) => intOf(node, 'local_window_size', -1)));
  const [window = -1] = windows;
  const plain = (node: Node) => floatOf(node, 'softcap', 0) === 0 && intOf(node, 'rotary_interleaved', 0) === 0;
  if (windows.size > 1 || !layers.every(plain)) {
    throw invalid(
      `${first.name}: soft caps, interleaved positions and several windows are not known by genai_config.json: ${REMEDY}`,
    );
  }
  const silu = nodes.filter(({ op, name }) => op === 'Sigmoid' || (op === 'QuickGelu' && /act_fn/.test(name)));
  if (silu.length !== layers.length) throw invalid(`the graph has another activation than silu: ${REMEDY}`);
  return window > 0 ? window : null;
}

function biasesOf({ initializers }: Graph): { attention: boolean; mlp: boolean } {
  const names = [...initializers.keys()].filter((name) => name.endsWith('.bias'));
  return {
    attention: names.some((name) => /\.attn\.\w+_proj\./.test(name)),
    mlp: names.some((name) => /\.mlp\.\w+_proj\./.test(name)),
  };
}

function innerOf({ nodes, initializers }: Graph): number {
  const gate = nodes.find(({ name }) => /^\/model\/layers\.0\/mlp\/gate_proj\/MatMul/.test(name));
  const dims = gate && initializers.get(gate.inputs[1] ?? '')?.dims;
  const inner = gate?.op === 'MatMulNBits' ? intOf(gate, 'N', 0) : dims?.[1];
  if (inner === undefined) throw invalid(`the graph has no /model/layers.0/mlp/gate_proj: ${REMEDY}`);
  return inner;
}

function epsilonOf({ nodes }: Graph): number {
  const norm = nodes.find(({ op }) => op === 'SimplifiedLayerNormalization');
  if (norm === undefined) throw invalid(`the graph has no SimplifiedLayerNormalization: ${REMEDY}`);
  // As it was before it became a 32-bit float.
  return Number(floatOf(norm, 'epsilon', 1e-5).toPrecision(6));
}

/** Of angles that are 32-bit floats. */
const ANGLE_TOLERANCE = 1e-4;

/** The base of the angles in cos_cache and sin_cache, which are those of unscaled positions. */
function thetaOf({ initializers }: Graph, headSize: number): number {
  const [cos, sin] = ['cos_cache', 'sin_cache'].map((name) => initializers.get(name));
  const other = () => invalid(`cos_cache and sin_cache are no tables of unscaled positions in 32 bits: ${REMEDY}`);
  if (cos?.type !== 'float32' || sin?.type !== 'float32' || cos.dims[1] !== headSize / 2) throw other();
  const [a, b] = [valuesOf(cos), valuesOf(sin)];
  const half = headSize / 2;
  if (a.length !== b.length || a.length < 2 * half || half < 2) throw other();
  const angle = (row: number, n: number) => Math.atan2(b[row * half + n]!, a[row * half + n]!);
  const theta = Number((angle(1, half - 1) ** (-half / (half - 1))).toPrecision(4));
  for (let n = 0; n < half; n++) {
    const expected = theta ** (-n / half);
    if (Math.abs(angle(1, n) - expected) > ANGLE_TOLERANCE * expected) throw other();
  }
  return theta;
}

function valuesOf({ dims, data }: Tensor): Float32Array {
  return finiteFloats({ type: 'F32', shape: dims, data }, 'cos_cache');
}
