/** Hugging Face's files of a model folder, as far as Shoal uses them. Fields it does not know are left alone. */
import { join } from 'node:path';
import { z } from 'zod';
import type { Pooling } from '../types.js';
import { invalid, list, readJson } from './files.js';

const Config = z.object({
  architectures: z.array(z.string()).nullish(),
  model_type: z.string().nullish(),
  /** By index; some tools write a list. */
  id2label: z
    .union([
      z.record(z.string(), z.string()),
      z.array(z.string()).transform((names): Record<string, string> => Object.fromEntries(names.entries())),
    ])
    .nullish(),
  problem_type: z.string().nullish(),
  max_position_embeddings: z.int().min(1).nullish(),
  hidden_size: z.int().min(1).nullish(),
  vocab_size: z.int().min(1).nullish(),
  pad_token_id: z.int().nullish(),
});
export type Config = z.infer<typeof Config>;

const AddedTokenName = z.union([z.string(), z.object({ content: z.string() }).transform((token) => token.content)]);
const TokenizerConfig = z.object({
  /** 1e30 where the tokenizer has no limit of its own. */
  model_max_length: z.number().min(1).nullish(),
  pad_token: AddedTokenName.nullish(),
});
const TokenizerJson = z.object({
  added_tokens: z.array(z.object({ id: z.int(), content: z.string() })).default([]),
});

const Modules = z.array(z.object({ path: z.string(), type: z.string() }));
const SentenceBertConfig = z.object({ max_seq_length: z.int().min(1).nullish() });
const PoolingConfig = z.record(z.string(), z.unknown());

export interface HuggingFaceFiles {
  readonly config: Config;
  readonly hasTokenizer: boolean;
  readonly tokenizerMaxTokens: number | null;
  /** The tokenizer's own padding token; null where it has none. */
  readonly padToken: number | null;
  readonly sentence: SentenceTransformer | null;
}

/** What the modules of a sentence-transformers folder do after the transformer. */
export interface SentenceTransformer {
  readonly maxTokens: number | null;
  readonly pooling: Pooling | null;
  readonly normalize: boolean;
  /** Modules that only the graph can apply (Dense layers, other poolings). */
  readonly inGraphOnly: readonly string[];
}

export async function readHuggingFace(folder: string): Promise<HuggingFaceFiles> {
  const config = (await readJson(folder, 'config.json', Config)) ?? {};
  const tokenizer = await readJson(folder, 'tokenizer.json', TokenizerJson);
  if (tokenizer === null && (await list(folder)).some((name) => /^(vocab\.|spiece\.|sentencepiece\.)/.test(name))) {
    throw invalid('tokenizer.json is missing; save the tokenizer with Hugging Face tokenizers to get one');
  }
  const tokenizerConfig = await readJson(folder, 'tokenizer_config.json', TokenizerConfig);
  const length = tokenizerConfig?.model_max_length ?? null;
  const padName = tokenizerConfig?.pad_token ?? null;
  return {
    config,
    hasTokenizer: tokenizer !== null,
    tokenizerMaxTokens: length !== null && length < 1e9 ? Math.floor(length) : null,
    padToken: tokenizer?.added_tokens.find((token) => token.content === padName)?.id ?? null,
    sentence: await readSentenceTransformer(folder),
  };
}

async function readSentenceTransformer(folder: string): Promise<SentenceTransformer | null> {
  const modules = await readJson(folder, 'modules.json', Modules);
  if (modules === null) return null;
  const maxTokens = (await readJson(folder, 'sentence_bert_config.json', SentenceBertConfig))?.max_seq_length ?? null;
  let pooling: Pooling | null = null;
  let normalize = false;
  const inGraphOnly: string[] = [];
  for (const module of modules) {
    const type = module.type.split('.').at(-1) ?? '';
    if (type === 'Transformer' || type === 'Dropout') continue;
    if (type === 'Normalize') normalize = true;
    else if (type === 'Pooling') {
      const file = join(module.path, 'config.json');
      const config = await readJson(folder, file, PoolingConfig);
      if (config === null) throw invalid(`${file} is missing, which modules.json names`);
      pooling = poolingOf(config);
      if (pooling === null) inGraphOnly.push(`the pooling of ${file}`);
    } else inGraphOnly.push(`${type} of modules.json`);
  }
  return { maxTokens, pooling, normalize, inGraphOnly };
}

const POOLINGS: Readonly<Record<string, Pooling>> = {
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_cls_token: 'cls',
  pooling_mode_lasttoken: 'last',
};

function poolingOf(config: z.infer<typeof PoolingConfig>): Pooling | null {
  const mode = config.pooling_mode;
  if (typeof mode === 'string') return mode === 'lasttoken' ? 'last' : mode === 'mean' || mode === 'cls' ? mode : null;
  const modes = Object.keys(config).filter((key) => key.startsWith('pooling_mode_') && config[key] === true);
  return modes.length === 1 ? (POOLINGS[modes[0]!] ?? null) : null;
}
