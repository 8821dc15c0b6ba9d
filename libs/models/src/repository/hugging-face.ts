/** Hugging Face's files of a model folder, as far as Shoal uses them. Fields it does not know are left alone. */
import { z } from 'zod';
import { invalid, list, readJson } from './files.js';
import { readActivation, readSentenceTransformer, type SentenceTransformer } from './sentence-transformers.js';

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
  /** The same in the words of GPT-2, which NomicBERT has. */
  n_positions: z.int().min(1).nullish(),
  hidden_size: z.int().min(1).nullish(),
  vocab_size: z.int().min(1).nullish(),
  pad_token_id: z.int().nullish(),
  /** What makes scores of a cross-encoder's logits: a class of PyTorch. The second name is that of sentence-transformers 1 to 3. */
  sentence_transformers: z.object({ activation_fn: z.string().nullish() }).nullish(),
  sbert_ce_default_activation_function: z.string().nullish(),
});
export type Config = z.infer<typeof Config>;

const AddedTokenName = z.union([z.string(), z.object({ content: z.string() }).transform((token) => token.content)]);
const TokenizerConfig = z.object({
  /** 1e30 where the tokenizer has no limit of its own. */
  model_max_length: z.number().min(1).nullish(),
  pad_token: AddedTokenName.nullish(),
  truncation_side: z.enum(['left', 'right']).nullish(),
});
const TokenizerJson = z.object({
  added_tokens: z.array(z.object({ id: z.int(), content: z.string() })).default([]),
  truncation: z.object({ direction: z.enum(['Left', 'Right']).nullish() }).nullish(),
});

export interface HuggingFaceFiles {
  readonly config: Config;
  readonly hasTokenizer: boolean;
  readonly tokenizerMaxTokens: number | null;
  /** The tokenizer's own padding token; null where it has none. */
  readonly padToken: number | null;
  /** Where texts that are too long are cut. */
  readonly truncationSide: 'left' | 'right';
  readonly sentence: SentenceTransformer | null;
  /** The class of PyTorch that makes scores of logits; null where none is named. */
  readonly activation: string | null;
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
    // As transformers decides between the two files.
    truncationSide:
      tokenizerConfig?.truncation_side ?? (tokenizer?.truncation?.direction === 'Left' ? 'left' : 'right'),
    sentence: await readSentenceTransformer(folder),
    activation:
      (await readActivation(folder)) ??
      config.sentence_transformers?.activation_fn ??
      config.sbert_ce_default_activation_function ??
      null,
  };
}
