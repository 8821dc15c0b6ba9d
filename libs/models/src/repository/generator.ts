/** What a version's folder says of a model that generates text. */
import type { ShoalJson } from '@shoal/contracts';
import type { OnnxSignature } from '@shoal/onnx';
import { z } from 'zod';
import type { GeneratorDetails } from '../types.js';
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
const GenerationConfig = z.object({ eos_token_id: z.union([TokenId, z.array(TokenId)]).nullish() });

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
  const eos = (await readJson(folder, 'generation_config.json', GenerationConfig))?.eos_token_id;
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
    };
  };
}

function contextOf({ limits }: ShoalJson, maxContext: number): number {
  const asked = limits?.max_tokens ?? maxContext;
  if (asked <= maxContext) return asked;
  throw invalid(`shoal.json: limits.max_tokens: ${asked} is more than the ${maxContext} positions of the model`);
}
