/**
 * What a checkpoint is for. The class that config.json names tells, but for language models: folders of embedding models and
 * of rerankers often name the class that writes texts, and other files of theirs say what is done with it.
 */
import { basename, join } from 'node:path';
import type { ShoalJson } from '@shoal/contracts';
import { z } from 'zod';
import { architectureOf } from '../architectures/table.js';
import type { Architecture, Judge } from '../architectures/types.js';
import { readConfig } from '../config-fields.js';
import { invalid } from '../invalid.js';
import { listModules, refuseOutside } from '../sentence/modules.js';
import { readShoal } from './shoal-json.js';
import { readJson } from './source-files.js';

export interface Purpose {
  /** config.json, with the class that is built. */
  readonly config: unknown;
  readonly architecture: Architecture;
  readonly task: Architecture['task'];
  /** Of a language model that judges whether a document answers a query. */
  readonly judge?: Judge;
  /** Of the same: what puts both to it. */
  readonly template?: string;
  /** For people. */
  readonly notes: readonly string[];
}

const LogitScore = z.object({ true_token_id: z.int().min(0), false_token_id: z.int().min(0).nullish() });
const TokenizerSettings = z.object({
  add_eos_token: z.boolean().nullish(),
  eos_token: z.union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)]).nullish(),
});
const Vocabulary = z.object({
  added_tokens: z.array(z.object({ id: z.int().min(0), content: z.string() })).default([]),
  model: z.object({ vocab: z.record(z.string(), z.int().min(0)) }),
});

/** As the authors of Qwen3-Reranker put it to their models. */
const QWEN3 =
  '<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. ' +
  'Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n' +
  '<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n' +
  '<Query>: {query}\n<Document>: {document}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n';

/** @throws ShoalError `model_invalid` where the class is not known, or its files do not say how it judges */
export function purposeOf(folder: string, shoal: ShoalJson = readShoal(folder)): Purpose {
  const config = readJson(folder, 'config.json');
  if (config === undefined) throw invalid('config.json is missing: it says which architecture the weights are of');
  const architecture = architectureOf(config);
  const notes = architecture.note === undefined ? [] : [architecture.note];
  const { trunk, buildJudge, task } = architecture;
  if (trunk === undefined) return { config, architecture, task, notes };
  const modules = listModules(folder);
  const score = modules.find(({ kind }) => kind === 'LogitScore');
  if (buildJudge !== undefined && (score !== undefined || shoal.task === 'rerank')) {
    const judge = score === undefined ? namedJudge(folder) : judgeOf(folder, score.path);
    return { config, architecture, task: 'rerank', judge, template: templateOf(shoal, config), notes };
  }
  if (modules.some(({ kind }) => kind === 'Pooling') || shoal.task === 'feature-extraction') {
    refuseWithoutEnd(folder);
    const asTrunk = { ...(config as object), architectures: [trunk] };
    return { config: asTrunk, architecture: architectureOf(asTrunk), task: 'feature-extraction', notes };
  }
  if (!/rerank/i.test(basename(folder))) return { config, architecture, task, notes };
  const hint =
    'generates text as it is imported here; to rank documents, put {"task": "rerank"} into a shoal.json in the folder';
  return { config, architecture, task, notes: [...notes, hint] };
}

/**
 * Embeddings are mostly taken from a token that the tokenizer puts at the end. transformers adds it where
 * tokenizer_config.json asks for it, also where tokenizer.json does not.
 *
 * @throws ShoalError `model_invalid`
 */
function refuseWithoutEnd(folder: string): void {
  const settings = TokenizerSettings.safeParse(readJson(folder, 'tokenizer_config.json') ?? {}).data;
  if (settings?.add_eos_token !== true || settings.eos_token == null) return;
  const { eos_token: name } = settings;
  const { post_processor: adds } = z.looseObject({}).parse(readJson(folder, 'tokenizer.json') ?? {});
  if (JSON.stringify(adds ?? null).includes(JSON.stringify(name))) return;
  throw invalid(
    `tokenizer_config.json: add_eos_token is true, but tokenizer.json adds no ${name}: save the tokenizer anew ` +
      "(AutoTokenizer.from_pretrained('folder').save_pretrained('folder'))",
  );
}

function judgeOf(folder: string, path: string): Judge {
  refuseOutside(path);
  const file = join(path, 'config.json');
  const parsed = LogitScore.safeParse(readJson(folder, file));
  if (!parsed.success) throw invalid(`${file}: true_token_id and false_token_id must be tokens`);
  return { yes: parsed.data.true_token_id, no: parsed.data.false_token_id ?? null };
}

/** The tokens `yes` and `no` of the tokenizer. */
function namedJudge(folder: string): Judge {
  const parsed = Vocabulary.safeParse(readJson(folder, 'tokenizer.json'));
  if (!parsed.success)
    throw invalid('tokenizer.json has no vocabulary by name, in which the tokens yes and no would be');
  const { added_tokens: added, model } = parsed.data;
  const idOf = (name: string): number => {
    const own = Object.hasOwn(model.vocab, name) ? model.vocab[name] : undefined;
    const id = added.find(({ content }) => content === name)?.id ?? own;
    if (id === undefined)
      throw invalid(`tokenizer.json has no token ${name}, with which a model that ranks documents would answer`);
    return id;
  };
  return { yes: idOf('yes'), no: idOf('no') };
}

function templateOf({ pair_template: own }: ShoalJson, config: unknown): string {
  if (own !== undefined) return own;
  const { model_type: type } = readConfig(z.object({ model_type: z.string().nullish() }), config);
  if (type === 'qwen3') return QWEN3;
  throw invalid(
    'shoal.json: pair_template is missing: the text with {query} and {document} in it that asks this language model for yes or no',
  );
}
