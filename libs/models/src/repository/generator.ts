/** A folder that holds a model that generates text: what is needed to run it, read with the same care as any model folder. */
import { lstat, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { ShoalJson } from '@shoal/contracts';
import { z } from 'zod';
import { invalid, list, readJson, readText } from './files.js';
import { findVariants } from './variants.js';

export interface GeneratorFolder {
  /** Absolute, without links. */
  readonly folder: string;
  /** variant → absolute path of its ONNX file, the default one first. */
  readonly variants: Readonly<Record<string, string>>;
  /** The text of tokenizer.json. */
  readonly tokenizer: string;
  /** In Jinja; null for a model that was not made for conversations. */
  readonly chatTemplate: string | null;
  /** What templates call `bos_token`, `eos_token`, ... */
  readonly specialTokens: Readonly<Record<string, string>>;
}

const TokenName = z.union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)]);
const TokenizerConfig = z.object({
  chat_template: z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))]).nullish(),
  bos_token: TokenName.nullish(),
  eos_token: TokenName.nullish(),
  pad_token: TokenName.nullish(),
  unk_token: TokenName.nullish(),
});

/** @throws ShoalError `model_invalid` naming what is missing or wrong in `folder`, of whose versions the newest is taken */
export async function readGenerator(folder: string): Promise<GeneratorFolder> {
  const version = await newestVersion(await realpath(folder));
  await refuseCheckpoint(version);
  const shoal = (await readJson(version, 'shoal.json', ShoalJson)) ?? {};
  if (shoal.task !== undefined && shoal.task !== 'text-generation') {
    throw invalid(`${version} serves ${shoal.task} to jobs; "shoal run" is for models that generate text`);
  }
  const variants = await findVariants(version, shoal);
  const tokenizer = await readText(version, 'tokenizer.json');
  if (tokenizer === null) throw invalid(`${version}: tokenizer.json is missing`);
  const { chat_template: template, ...tokens } =
    (await readJson(version, 'tokenizer_config.json', TokenizerConfig)) ?? {};
  const named = typeof template === 'string' ? template : template?.find(({ name }) => name === 'default')?.template;
  return {
    folder: version,
    variants,
    tokenizer,
    // Newer versions of transformers keep it in a file of its own.
    chatTemplate: (await readText(version, 'chat_template.jinja')) ?? named ?? null,
    specialTokens: Object.fromEntries(
      Object.entries(tokens).filter((entry): entry is [string, string] => entry[1] != null),
    ),
  };
}

async function refuseCheckpoint(folder: string): Promise<void> {
  const names = await list(folder);
  if (names.includes('onnx') || !names.some((name) => name.endsWith('.safetensors'))) return;
  throw invalid(`${folder} is a checkpoint: "shoal import ${folder}" makes a model of it`);
}

async function newestVersion(folder: string): Promise<string> {
  const numbers = (await list(folder)).filter((name) => /^[1-9][0-9]{0,8}$/.test(name)).map(Number);
  if (numbers.length === 0) return folder;
  const version = join(folder, String(Math.max(...numbers)));
  if (!(await lstat(version)).isDirectory()) throw invalid(`${version} is not a folder`);
  return version;
}
