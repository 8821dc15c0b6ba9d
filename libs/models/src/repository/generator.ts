/** What a version's folder says of a model that generates text. */
import type { ShoalJson } from '@shoal/contracts';
import type { OnnxSignature } from '@shoal/onnx';
import { z } from 'zod';
import type { AdvisedSampling, GeneratorDetails } from '../types.js';
import { decoderInfoOf } from './decoder-info.js';
import { invalid, readJson, readText, regularFile } from './files.js';

const TokenName = z.union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)]);
const TokenId = z.int().min(0);
const TokenizerConfig = z.object({
  chat_template: z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))]).nullish(),
  bos_token: TokenName.nullish(),
  eos_token: TokenName.nullish(),
  pad_token: TokenName.nullish(),
  unk_token: TokenName.nullish(),
});

/** Of transformers, which heeds it before config.json. */
const GenerationConfig = z.object({
  eos_token_id: z.union([TokenId, z.array(TokenId)]).nullish(),
  do_sample: z.boolean().nullish(),
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  top_k: z.int().nullish(),
  min_p: z.number().nullish(),
  repetition_penalty: z.number().nullish(),
});

/** Of transformers, where a file that asks for sampling does not say. */
const TOP_K = 50;

/**
 * Reads what all variants of the version `folder` have in common, and returns what adds a graph's own: as far as graphs of
 * other exporters cannot be run, `model_invalid` says what can be done. @throws ShoalError `model_invalid`
 */
export async function generatorReader(
  folder: string,
  shoal: ShoalJson,
): Promise<(signature: Pick<OnnxSignature, 'metadata'>) => GeneratorDetails> {
  if ((await regularFile(folder, 'tokenizer.json')) === null) throw invalid('text-generation needs a tokenizer.json');
  const { chat_template: template, ...tokens } =
    (await readJson(folder, 'tokenizer_config.json', TokenizerConfig)) ?? {};
  const named = typeof template === 'string' ? template : template?.find(({ name }) => name === 'default')?.template;
  const config = (await readJson(folder, 'generation_config.json', GenerationConfig)) ?? {};
  const eos = config.eos_token_id;
  const sampling = samplingOf(config);
  // Newer versions of transformers keep it in a file of its own.
  const chatTemplate = (await readText(folder, 'chat_template.jinja')) ?? named ?? null;
  const specialTokens = Object.fromEntries(
    Object.entries(tokens).filter((entry): entry is [string, string] => entry[1] != null),
  );
  return (signature) => {
    const info = decoderInfoOf(signature);
    if (info === undefined) {
      throw invalid(
        '"shoal import" did not make it, and other graphs that generate text cannot be run: import its checkpoint',
      );
    }
    const { maxContext, vocabulary, eosTokenIds } = info;
    return {
      maxContext: contextOf(shoal, maxContext),
      vocabulary,
      eosTokenIds: eos == null ? eosTokenIds : [eos].flat(),
      chatTemplate,
      specialTokens,
      sampling,
    };
  };
}

/** As `generate` of transformers takes it: without `do_sample` what else is there about sampling means nothing. */
function samplingOf(config: z.output<typeof GenerationConfig>): AdvisedSampling {
  const { do_sample: samples, temperature, top_p, top_k, min_p, repetition_penalty } = config;
  const sampled = samples
    ? { temperature: temperature ?? 1, top_p: top_p ?? 1, top_k: top_k ?? TOP_K, min_p: min_p ?? 0 }
    : { temperature: 0, top_p: 1, top_k: 0, min_p: 0 };
  return { ...sampled, repetition_penalty: repetition_penalty ?? 1 };
}

function contextOf({ limits }: ShoalJson, maxContext: number): number {
  const asked = limits?.max_tokens ?? maxContext;
  if (asked <= maxContext) return asked;
  throw invalid(`shoal.json: limits.max_tokens: ${asked} is more than the ${maxContext} positions of the model`);
}
