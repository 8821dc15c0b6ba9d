/** What is trained in the benchmark: shapes, and checkpoints of them with random weights. */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '@shoal/training';
import { type LlamaShape, makeCheckpoint } from './random-llama.js';
import { ROOT } from './root.js';

export interface TrainedShape {
  /** For people. */
  readonly what: string;
  readonly batch: number;
  readonly tokens: number;
  readonly folder: string;
}

export type Trained = 'bert' | 'llama';

const FOLDER = join(ROOT, '.shoal/bench/training');

export const TRAINED: Readonly<Record<Trained, TrainedShape>> = {
  bert: { what: 'BERT 6 × 384, 22.6 M weights, 16 × 64 tokens', batch: 16, tokens: 64, folder: join(FOLDER, 'bert') },
  llama: { what: 'Llama 6 × 256, 6.9 M weights, 8 × 128 tokens', batch: 8, tokens: 128, folder: join(FOLDER, 'llama') },
};

const LLAMA: LlamaShape = { layers: 6, width: 256, heads: 4, kvHeads: 4, inner: 704, vocabulary: 8192 };

const BERT = {
  ...{ architectures: ['BertModel'], model_type: 'bert', vocab_size: 30_522, hidden_size: 384, num_hidden_layers: 6 },
  ...{ num_attention_heads: 12, intermediate_size: 1536, max_position_embeddings: 512, type_vocab_size: 2 },
  ...{ hidden_act: 'gelu', layer_norm_eps: 1e-12 },
};

/** Writes the folders that are not there yet. */
export function makeTrained(): void {
  mkdirSync(FOLDER, { recursive: true });
  makeCheckpoint(TRAINED.llama.folder, LLAMA);
  const { folder } = TRAINED.bert;
  if (existsSync(folder)) return;
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished);
  writeFileSync(join(unfinished, 'config.json'), JSON.stringify(BERT));
  writeTensors(join(unfinished, 'model.safetensors'), bertTensors());
  renameSync(unfinished, folder);
}

type NamedShape = readonly [name: string, ...shape: number[]];

function bertTensors(): NamedShape[] {
  const { hidden_size: width, intermediate_size: inner, num_hidden_layers: layers } = BERT;
  const linear = (name: string, from: number, to: number): NamedShape[] => [
    [`${name}.weight`, to, from],
    [`${name}.bias`, to],
  ];
  const norm = (name: string): NamedShape[] => ['weight', 'bias'].map((part) => [`${name}.${part}`, width]);
  const layer = (prefix: string): NamedShape[] => [
    ...['self.query', 'self.key', 'self.value', 'output.dense'].flatMap((name) =>
      linear(`${prefix}.attention.${name}`, width, width),
    ),
    ...norm(`${prefix}.attention.output.LayerNorm`),
    ...linear(`${prefix}.intermediate.dense`, width, inner),
    ...linear(`${prefix}.output.dense`, inner, width),
    ...norm(`${prefix}.output.LayerNorm`),
  ];
  return [
    ['embeddings.word_embeddings.weight', BERT.vocab_size, width],
    ['embeddings.position_embeddings.weight', BERT.max_position_embeddings, width],
    ['embeddings.token_type_embeddings.weight', BERT.type_vocab_size, width],
    ...norm('embeddings.LayerNorm'),
    ...Array.from({ length: layers }, (_, n) => layer(`encoder.layer.${n}`)).flat(),
  ];
}

/** Normal numbers of BERT's own spread; gains of norms are 1. */
function writeTensors(path: string, tensors: readonly NamedShape[]): void {
  let end = 0;
  const header = Object.fromEntries(
    tensors.map(([name, ...shape]) => {
      const start = end;
      end += 4 * countOf(shape);
      return [name, { dtype: 'F32', shape, data_offsets: [start, end] }];
    }),
  );
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const random = seededRandom(5);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const file = openSync(path, 'w');
  try {
    writeSync(file, length);
    writeSync(file, text);
    for (const [name, ...shape] of tensors) {
      const gain = name.endsWith('LayerNorm.weight');
      writeSync(
        file,
        Float32Array.from({ length: countOf(shape) }, () => (gain ? 1 : 0.02 * normal())),
      );
    }
  } finally {
    closeSync(file);
  }
}

function countOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}
