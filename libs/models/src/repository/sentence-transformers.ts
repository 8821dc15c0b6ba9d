/** What a sentence-transformers folder says: its modules, prompts and the names of their files, in all layouts so far. */
import { join } from 'node:path';
import type { Pooling } from '@shoal/contracts';
import { z } from 'zod';
import type { Prompts } from '../types.js';
import { invalid, readJson } from './files.js';

/** As sentence-transformers looks for it, the first that is there counts. */
const TRANSFORMER_CONFIGS: readonly string[] = [
  'sentence_bert_config.json',
  'sentence_roberta_config.json',
  'sentence_distilbert_config.json',
  'sentence_camembert_config.json',
  'sentence_albert_config.json',
  'sentence_xlm-roberta_config.json',
  'sentence_xlnet_config.json',
];

/** Far more than anyone has, and no more than can be put before every text of a job. */
const MAX_PROMPTS = 1000;
const MAX_PROMPT_LENGTH = 16 * 1024;

const Modules = z.array(z.object({ path: z.string(), type: z.string() })).max(32);
const TransformerConfig = z.object({
  max_seq_length: z.int().min(1).nullish(),
  do_lower_case: z.boolean().nullish(),
});
const PoolingConfig = z.record(z.string(), z.unknown());
const General = z.object({
  prompts: z.record(z.string(), z.string().max(MAX_PROMPT_LENGTH)).nullish(),
  default_prompt_name: z.string().nullish(),
  /** Of cross-encoders. */
  activation_fn: z.string().nullish(),
});

export interface SentenceTransformer {
  readonly maxTokens: number | null;
  /** Texts are put into lower case before anything else happens to them. */
  readonly lowerCase: boolean;
  /** Side by side; null where the modules have none that can be applied here. */
  readonly pooling: readonly Pooling[] | null;
  readonly normalize: boolean;
  readonly prompts: Prompts;
  /** Modules that only the graph can apply (Dense layers, what a later version may bring). */
  readonly inGraphOnly: readonly string[];
}

/** Null where the folder is none of sentence-transformers. Throws `model_invalid` naming the file and the field. */
export async function readSentenceTransformer(folder: string): Promise<SentenceTransformer | null> {
  const modules = await readJson(folder, 'modules.json', Modules);
  if (modules === null) return null;
  const transformer = await readTransformer(folder);
  const general = (await readJson(folder, GENERAL, General)) ?? {};
  const inGraphOnly: string[] = [];
  let pooling: readonly Pooling[] | null = null;
  let pooled = true;
  let normalize = false;
  for (const { path, type } of modules) {
    const name = type.split('.').at(-1) ?? '';
    if (name === 'Transformer' || name === 'Dropout') continue;
    if (name === 'Pooling' && pooling === null) {
      const file = join(path, 'config.json');
      const config = await readJson(folder, file, PoolingConfig);
      if (config === null) throw invalid(`${file} is missing, which modules.json names`);
      pooling = poolingModes(config, file);
      pooled = config.include_prompt !== false;
      continue;
    }
    // One in front of another module is for the graph, as that module is.
    normalize = name === 'Normalize';
    if (!normalize) inGraphOnly.push(`${name} of modules.json`);
  }
  return {
    maxTokens: transformer.max_seq_length ?? null,
    lowerCase: transformer.do_lower_case ?? false,
    pooling,
    normalize,
    prompts: promptsOf(general, pooled),
    inGraphOnly,
  };
}

const GENERAL = 'config_sentence_transformers.json';

/** What makes scores of a cross-encoder's logits, as its folder names it. */
export async function readActivation(folder: string): Promise<string | null> {
  return (await readJson(folder, GENERAL, General))?.activation_fn ?? null;
}

async function readTransformer(folder: string): Promise<z.infer<typeof TransformerConfig>> {
  for (const file of TRANSFORMER_CONFIGS) {
    const config = await readJson(folder, file, TransformerConfig);
    if (config !== null) return config;
  }
  return {};
}

function promptsOf({ prompts, default_prompt_name: name }: z.infer<typeof General>, pooled: boolean): Prompts {
  const texts = new Map(Object.entries(prompts ?? {}));
  if (texts.size > MAX_PROMPTS) throw invalid(`${GENERAL}: prompts: ${texts.size} are more than ${MAX_PROMPTS}`);
  if (name != null && !texts.has(name)) {
    const have = [...texts.keys()].join(', ') || 'none';
    throw invalid(`${GENERAL}: default_prompt_name: ${JSON.stringify(name)} is not among the prompts (${have})`);
  }
  return { texts, standard: name ?? null, pooled };
}

/** By the field of one pooling, in the order in which older versions put several side by side. */
const FLAGS: Readonly<Record<string, Pooling>> = {
  pooling_mode_cls_token: 'cls',
  pooling_mode_max_tokens: 'max',
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_mean_sqrt_len_tokens: 'mean_sqrt_len',
  pooling_mode_weightedmean_tokens: 'weightedmean',
  pooling_mode_lasttoken: 'last',
};

/** By the names of `pooling_mode`. */
const MODES: Readonly<Record<string, Pooling>> = {
  cls: 'cls',
  max: 'max',
  mean: 'mean',
  mean_sqrt_len_tokens: 'mean_sqrt_len',
  weightedmean: 'weightedmean',
  lasttoken: 'last',
};

/**
 * How a Pooling module pools, several ones side by side. `file` is where its fields stand.
 *
 * Throws `model_invalid` for a pooling that is not known.
 */
export function poolingModes(config: Readonly<Record<string, unknown>>, file: string): readonly Pooling[] {
  const { pooling_mode: mode } = config;
  if (mode != null) {
    return (Array.isArray(mode) ? mode : [mode]).map((name: unknown) => {
      const known = typeof name === 'string' && Object.hasOwn(MODES, name) ? MODES[name] : undefined;
      if (known !== undefined) return known;
      const names = Object.keys(MODES).join(', ');
      throw invalid(`${file}: pooling_mode: ${JSON.stringify(name)} is not supported; supported are ${names}`);
    });
  }
  const unknown = Object.keys(config).find(
    (name) => name.startsWith('pooling_mode_') && config[name] === true && !Object.hasOwn(FLAGS, name),
  );
  if (unknown !== undefined) throw invalid(`${file}: ${unknown} is not supported`);
  const modes = Object.entries(FLAGS).flatMap(([name, pooling]) => (config[name] === true ? [pooling] : []));
  return modes.length === 0 ? ['mean'] : modes;
}
