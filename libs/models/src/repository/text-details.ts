/** What the files of a folder say about texts: the longest one, padding, pooling, how logits become scores. */
import type { ShoalJson, Task } from '@shoal/contracts';
import type { Prompts, ScoreFunction, TextDetails } from '../types.js';
import { invalid } from './files.js';
import { type Chosen, checkEmbeddingOutputs, embeddingOutputs, pooledByGraph } from './graph.js';
import type { HuggingFaceFiles } from './hugging-face.js';
import { classCount } from './task.js';

/** Where nothing in the folder names a limit. */
const FALLBACK_MAX_TOKENS = 512;

/** Architectures whose position ids start at pad id + 1, so that they have as many positions fewer. */
const OFFSET_POSITIONS: readonly string[] = [
  'roberta',
  'xlm-roberta',
  'xlm-roberta-xl',
  'camembert',
  'mpnet',
  'longformer',
  'data2vec-text',
  'roberta-prelayernorm',
  'xmod',
  'ibert',
  'luke',
  'esm',
];

const NO_PROMPTS: Prompts = { texts: new Map(), standard: null, pooled: true };

/** Throws `model_invalid` where shoal.json asks for more than the model has, or pooling cannot be done. */
export function textDetails(task: Task, shoal: ShoalJson, files: HuggingFaceFiles, graph: Chosen): TextDetails {
  const { config, sentence } = files;
  // The model's own padding id is the one its graph knows; attention masks hide it either way.
  const padId = config.pad_token_id ?? files.padToken ?? 0;
  if (padId < 0) throw invalid(`config.json: pad_token_id: ${padId} is not a token`);
  const firstPosition = OFFSET_POSITIONS.includes(config.model_type ?? '') ? padId + 1 : 0;
  if (task === 'feature-extraction') checkEmbeddings(shoal, files, graph);
  return {
    maxTokens: maxTokens(shoal, files, graph, firstPosition),
    vocabSize: config.vocab_size ?? null,
    padId,
    firstPosition,
    pooling: shoal.pooling === undefined ? (sentence?.pooling ?? ['mean']) : [shoal.pooling],
    // Without sentence-transformers files: unit length, as clients of OpenAI's API expect.
    normalize: shoal.normalize ?? sentence?.normalize ?? true,
    pairTemplate: shoal.pair_template ?? null,
    scoreFunction: scoreFunction(files, task === 'feature-extraction' ? 0 : classCount(config, graph)),
    prompts: sentence?.prompts ?? NO_PROMPTS,
    lowerCase: sentence?.lowerCase ?? false,
    truncationSide: files.truncationSide,
  };
}

function maxTokens(shoal: ShoalJson, files: HuggingFaceFiles, graph: Chosen, firstPosition: number): number {
  const fixed = graph.inputs.find((input) => input.name === 'input_ids')?.shape[1];
  const positions = files.config.max_position_embeddings ?? files.config.n_positions ?? null;
  const hard = Math.min(
    typeof fixed === 'number' ? fixed : Number.POSITIVE_INFINITY,
    positions === null ? Number.POSITIVE_INFINITY : positions - firstPosition,
  );
  const asked = shoal.limits?.max_tokens;
  if (asked !== undefined && asked > hard) {
    throw invalid(`shoal.json: limits.max_tokens: ${asked} is more than the ${hard} positions of the model`);
  }
  const soft = asked ?? files.sentence?.maxTokens ?? files.tokenizerMaxTokens ?? Number.POSITIVE_INFINITY;
  const limit = Math.min(soft, hard);
  return Number.isFinite(limit) ? limit : FALLBACK_MAX_TOKENS;
}

function checkEmbeddings(shoal: ShoalJson, files: HuggingFaceFiles, graph: Chosen): void {
  checkEmbeddingOutputs(graph);
  const { tokens, pooled } = embeddingOutputs(graph);
  if (tokens === null && pooled === null) throw invalid('the graph gives neither token vectors nor a sentence vector');
  const { inGraphOnly = [], prompts } = files.sentence ?? {};
  const byGraph = pooledByGraph(graph);
  if (inGraphOnly.length > 0 && !byGraph && shoal.pooling === undefined) {
    const names = [...new Set(inGraphOnly)].join(' and ');
    throw invalid(
      `${names} has to be part of the graph (an output sentence_embedding): import the checkpoint, whose graph gets it, ` +
        'or export the whole SentenceTransformer',
    );
  }
  if (byGraph && prompts?.pooled === false && prompts.texts.size > 0 && !hasPoolingMask(graph)) {
    throw invalid(
      'include_prompt of the Pooling module is false, but the graph pools whole texts: name the output that has the ' +
        'vectors of tokens as "output" in shoal.json',
    );
  }
}

/** Where the pooling of a graph looks, in place of the attention mask. */
function hasPoolingMask(graph: Chosen): boolean {
  return graph.inputs.some(({ name }) => name === 'pooling_mask');
}

/** By the names of PyTorch's classes, without their modules. */
const ACTIVATIONS: Readonly<Record<string, ScoreFunction>> = {
  Identity: 'none',
  Sigmoid: 'sigmoid',
  Softmax: 'softmax',
};

/** What sentence-transformers' files name, else as transformers' text-classification pipeline decides. */
function scoreFunction({ config, activation }: HuggingFaceFiles, classes: number): ScoreFunction {
  if (activation !== null && classes > 0) {
    const name = activation.split('.').at(-1) ?? '';
    const known = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
    if (known !== undefined) return known;
    const names = Object.keys(ACTIVATIONS).join(', ');
    throw invalid(`activation_fn: ${JSON.stringify(activation.slice(0, 100))} is not supported, only ${names}`);
  }
  if (config.problem_type === 'regression') return 'none';
  return config.problem_type === 'multi_label_classification' || classes === 1 ? 'sigmoid' : 'softmax';
}
