/** Model folders of the benchmarks: an encoder of MiniLM's shape with random weights, and one that does nothing. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GraphBuilder, type Model, serialiseModel } from '@shoal/onnx';
import { seededRandom } from '@shoal/training';
import { type BertShape, bertGraph } from './bert-graph.js';
import { ROOT } from './root.js';

export const MODELS_DIR = join(ROOT, '.shoal/bench/models');
export const ENCODER = 'mini-encoder';
export const NOOP = 'noop';
/** Like all-MiniLM-L6-v2. */
export const MAX_TOKENS = 256;

/** The tokenizer is that of the bundled model, with 6,000 tokens: the size of the table does not matter to a Gather. */
const TOKENIZER_DIR = join(ROOT, 'models/wordnet-embed/1');

const SHAPE: BertShape = { layers: 6, width: 384, heads: 12, inner: 1536, vocabulary: 6000, positions: 512 };

/** Writes what is not there yet. */
export async function makeModels(): Promise<void> {
  await makeFolder(ENCODER, async (folder) => {
    await writeFile(join(folder, 'onnx/model.onnx'), serialiseModel(bertGraph(SHAPE, seededRandom(1))));
    for (const [name, content] of Object.entries(encoderFiles())) {
      await writeFile(join(folder, name), JSON.stringify(content));
    }
    for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
      await copyFile(join(TOKENIZER_DIR, name), join(folder, name));
    }
  });
  await makeFolder(NOOP, async (folder) => {
    await writeFile(join(folder, 'onnx/model.onnx'), serialiseModel(identity()));
    await writeFile(join(folder, 'shoal.json'), JSON.stringify({ task: 'tensors' }));
  });
}

function identity(): Model {
  const graph = new GraphBuilder({ name: 'noop', opset: 14, irVersion: 8 });
  graph.output('y', graph.op('Identity', [graph.input('x', 'float32', ['batch', 1])]), 'float32', ['batch', 1]);
  return graph.build();
}

function encoderFiles(): Record<string, unknown> {
  const module = (idx: number, path: string, type: string) => ({ idx, name: String(idx), path, type });
  return {
    'config.json': {
      architectures: ['BertModel'],
      model_type: 'bert',
      hidden_size: SHAPE.width,
      num_hidden_layers: SHAPE.layers,
      num_attention_heads: SHAPE.heads,
      intermediate_size: SHAPE.inner,
      hidden_act: 'gelu',
      vocab_size: SHAPE.vocabulary,
      max_position_embeddings: SHAPE.positions,
      type_vocab_size: 2,
      pad_token_id: 0,
    },
    'modules.json': [
      module(0, '', 'sentence_transformers.models.Transformer'),
      module(1, '1_Pooling', 'sentence_transformers.models.Pooling'),
      module(2, '2_Normalize', 'sentence_transformers.models.Normalize'),
    ],
    'sentence_bert_config.json': { max_seq_length: MAX_TOKENS, do_lower_case: false },
    '1_Pooling/config.json': { word_embedding_dimension: SHAPE.width, pooling_mode_mean_tokens: true },
  };
}

/** A folder is there as a whole or not at all. */
async function makeFolder(name: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const folder = join(MODELS_DIR, name);
  if (existsSync(folder)) return;
  const unfinished = join(ROOT, `.shoal/bench/unfinished-${name}`);
  await mkdir(join(unfinished, '1/onnx'), { recursive: true });
  await mkdir(join(unfinished, '1/1_Pooling'), { recursive: true });
  await fill(join(unfinished, '1'));
  await mkdir(MODELS_DIR, { recursive: true });
  await rename(unfinished, folder);
}
