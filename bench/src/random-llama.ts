/** A Llama-shaped checkpoint with random weights, as a hub would have it: config.json, bfloat16 safetensors in shards. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '@shoal/training';
import { ROOT } from './root.js';

export interface LlamaShape {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly inner: number;
  readonly vocabulary: number;
  /** The head is a matrix of its own. */
  readonly untied?: true;
}

/** SmolLM-135M. */
export const SMOL: LlamaShape = { layers: 30, width: 576, heads: 9, kvHeads: 3, inner: 1536, vocabulary: 49_152 };
/** Llama 3.2 1B. */
export const ONE_BILLION: LlamaShape = {
  ...{ layers: 16, width: 2048, heads: 32, kvHeads: 8, inner: 8192, vocabulary: 128_256 },
};
/** Llama 3.1 8B. */
export const EIGHT_BILLION: LlamaShape = {
  ...{ layers: 32, width: 4096, heads: 32, kvHeads: 8, inner: 14_336, vocabulary: 128_256, untied: true },
};
/** To try the benchmark itself. */
export const TINY: LlamaShape = { layers: 2, width: 192, heads: 3, kvHeads: 1, inner: 512, vocabulary: 4096 };

export const MAX_CONTEXT = 2048;

/** Weights that are drawn; larger tensors repeat them, since billions would take longer to draw than to import. */
const DRAWN = 2 ** 22;
/** As a fresh model has it: activations stay of the size that a trained one has. */
const WEIGHT_SPREAD = 0.02;
/** Bytes of a shard at most, so that there are several. */
const SHARD_BYTES = 100 * 1024 * 1024;
/** Its tokens are of no interest here, but `shoal import` asks for a tokenizer. */
const TOKENIZER = join(ROOT, 'test/fixtures/checkpoints/wordnet-lm-draft/tokenizer.json');

/** Writes the folder where it is not there yet. */
export function makeCheckpoint(folder: string, shape: LlamaShape): void {
  if (existsSync(folder)) return;
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  writeFileSync(join(unfinished, 'config.json'), JSON.stringify(configOf(shape)));
  copyFileSync(TOKENIZER, join(unfinished, 'tokenizer.json'));
  const drawn = drawWeights(gaussian(seededRandom(5)));
  const shards = shardsOf(tensorsOf(shape));
  const fileOf = (n: number) => `model-${name(n + 1)}-of-${name(shards.length)}.safetensors`;
  const name = (n: number) => String(n).padStart(5, '0');
  const places: Record<string, string> = {};
  shards.forEach((tensors, n) => {
    writeShard(join(unfinished, fileOf(n)), tensors, drawn);
    for (const tensor of tensors) places[tensor.name] = fileOf(n);
  });
  writeFileSync(join(unfinished, 'model.safetensors.index.json'), JSON.stringify({ weight_map: places }));
  renameSync(unfinished, folder);
}

/** `config.json` of the checkpoint. */
export function configOf({ layers, width, heads, kvHeads, inner, vocabulary, untied }: LlamaShape) {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: width,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    vocab_size: vocabulary,
    max_position_embeddings: MAX_CONTEXT,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: untied !== true,
    torch_dtype: 'bfloat16',
  };
}

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
}

function tensorsOf({ layers, width, heads, kvHeads, inner, vocabulary, untied }: LlamaShape): Tensor[] {
  const head = width / heads;
  const layer = (n: number): Tensor[] => {
    const of = (name: string, ...shape: number[]) => ({ name: `model.layers.${n}.${name}.weight`, shape });
    return [
      of('input_layernorm', width),
      of('self_attn.q_proj', width, width),
      of('self_attn.k_proj', kvHeads * head, width),
      of('self_attn.v_proj', kvHeads * head, width),
      of('self_attn.o_proj', width, width),
      of('post_attention_layernorm', width),
      of('mlp.gate_proj', inner, width),
      of('mlp.up_proj', inner, width),
      of('mlp.down_proj', width, inner),
    ];
  };
  return [
    { name: 'model.embed_tokens.weight', shape: [vocabulary, width] },
    ...Array.from({ length: layers }, (_, n) => layer(n)).flat(),
    { name: 'model.norm.weight', shape: [width] },
    ...(untied ? [{ name: 'lm_head.weight', shape: [vocabulary, width] }] : []),
  ];
}

const countOf = ({ shape }: Tensor) => shape.reduce((product, dim) => product * dim, 1);

function shardsOf(tensors: readonly Tensor[]): Tensor[][] {
  const shards: Tensor[][] = [[]];
  let bytes = 0;
  for (const tensor of tensors) {
    const size = 2 * countOf(tensor);
    if (bytes > 0 && bytes + size > SHARD_BYTES) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)!.push(tensor);
    bytes += size;
  }
  return shards;
}

function writeShard(path: string, tensors: readonly Tensor[], drawn: Uint16Array): void {
  let end = 0;
  const header = Object.fromEntries(
    tensors.map((tensor) => {
      const start = end;
      end += 2 * countOf(tensor);
      return [tensor.name, { dtype: 'BF16', shape: tensor.shape, data_offsets: [start, end] }];
    }),
  );
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = openSync(path, 'w');
  writeSync(file, length);
  writeSync(file, text);
  for (const tensor of tensors) writeWeights(file, tensor, drawn);
  closeSync(file);
}

/** A norm's gain is 1, as in a fresh model. */
function writeWeights(file: number, tensor: Tensor, drawn: Uint16Array): void {
  const count = countOf(tensor);
  const weights = tensor.shape.length === 1 ? narrow(new Float32Array(count).fill(1)) : drawn;
  for (let done = 0; done < count; ) {
    const some = weights.subarray(0, Math.min(weights.length, count - done));
    writeSync(file, some);
    done += some.length;
  }
}

function drawWeights(random: () => number): Uint16Array {
  return narrow(Float32Array.from({ length: DRAWN }, () => WEIGHT_SPREAD * random()));
}

/** A bfloat16 is the upper half of a float32. */
function narrow(wide: Float32Array): Uint16Array {
  return Uint16Array.from(new Uint32Array(wide.buffer), (bits) => bits >>> 16);
}

/** Box and Muller's normal deviates. */
function gaussian(random: () => number): () => number {
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
