/** The modules of a sentence-transformers folder behind the transformer: what modules.json and their own files say. */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { describeIssue, type Pooling } from '@shoal/contracts';
import { poolingModes } from '@shoal/models';
import { z } from 'zod';
import { type Checkpoint, fileIn, openCheckpoint } from '../checkpoint.js';
import { only, size } from '../config-fields.js';
import { readJson } from '../import/source-files.js';
import { invalid } from '../invalid.js';

const FILE = 'modules.json';
/** Far more than anyone has. */
const MAX_MODULES = 32;
/** The name of a folder that lies in the model's. */
const OWN_FOLDER = /^[\w-][\w.-]*$/;

const Modules = z.array(z.object({ path: z.string(), type: z.string() })).max(MAX_MODULES);

/** Only what stands for the text goes on: modules of token vectors are those of other kinds of models. */
const named = { module_input_name: only('sentence_embedding'), module_output_name: only('sentence_embedding') };
const DenseConfig = z.object({
  in_features: size,
  out_features: size,
  bias: z.boolean().default(true),
  activation_function: z.string().default('torch.nn.modules.activation.Tanh'),
  use_residual: z.boolean().default(false),
  ...named,
});
const LayerNormConfig = z.object({ dimension: size });
const NormalizeConfig = z.object(named);
const PoolingConfig = z.looseObject({ include_prompt: z.boolean().default(true) });

/** By the names of PyTorch's classes. */
const ACTIVATIONS = ['Identity', 'Tanh', 'ReLU', 'GELU', 'SiLU', 'Sigmoid'] as const;
export type DenseActivation = (typeof ACTIVATIONS)[number];

/** One module, its weights still in their file. */
export type SentenceStep =
  | {
      readonly kind: 'dense';
      readonly path: string;
      readonly weights: Checkpoint;
      readonly inputs: number;
      readonly outputs: number;
      readonly bias: boolean;
      readonly activation: DenseActivation;
      /** The input is added to what comes out, through a map of its own where the widths differ. */
      readonly residual: boolean;
    }
  | { readonly kind: 'norm'; readonly path: string; readonly weights: Checkpoint; readonly width: number }
  | { readonly kind: 'normalize' };

export type OpenModule = (path: string) => Checkpoint;

export interface SentenceModules {
  /** Side by side. */
  readonly pooling: readonly Pooling[];
  /** False: pooling leaves the tokens of a prompt out. */
  readonly includePrompt: boolean;
  /** In their order. The last is no `normalize`: that is done where embeddings are cut to `dimensions`, which comes before it. */
  readonly steps: readonly SentenceStep[];
}

/** Folders of modules, none twice. @throws ShoalError `model_invalid` where modules.json is none, or for links */
export function moduleFolders(folder: string): readonly string[] {
  const paths = listModules(folder).map(({ path }) => path);
  return [...new Set(paths)].filter((path) => OWN_FOLDER.test(path) && isFolder(folder, path));
}

/**
 * What has to become part of the graph; undefined where the folder has no module with weights, and pooling can be done by
 * whoever runs the graph. `open` opens the weights of the module that lies at a path of the folder; they are there beside its
 * config.json where it is left out.
 *
 * @throws ShoalError `model_invalid` naming the module or the field that is not supported
 */
export function readSentenceModules(
  folder: string,
  open: OpenModule = (path) => openModule(folder, path),
): SentenceModules | undefined {
  const [first, ...others] = listModules(folder);
  if (first === undefined) return undefined;
  if (first.kind !== 'Transformer') throw unsupported(first);
  if (first.path !== '') {
    throw invalid(
      `${FILE}: the transformer lies in ${first.path}: save the model with a present sentence-transformers, which puts it into ` +
        "the folder itself (SentenceTransformer('folder').save('other'))",
    );
  }
  const [pooling, ...rest] = others.filter(({ kind }) => kind !== 'Dropout');
  if (pooling === undefined) return undefined;
  for (const { path } of others) {
    refuseOutside(path);
    isFolder(folder, path);
  }
  if (pooling.kind !== 'Pooling') throw unsupported(pooling);
  const file = join(pooling.path, 'config.json');
  const config = check(PoolingConfig, folder, file);
  const steps = rest.map((module) => readStep(folder, module, open));
  while (steps.at(-1)?.kind === 'normalize') steps.pop();
  const modes = poolingModes(config, file);
  return steps.length === 0 ? undefined : { pooling: modes, includePrompt: config.include_prompt, steps };
}

export interface Module {
  readonly path: string;
  /** The class without its module, which has had several. */
  readonly kind: string;
  readonly type: string;
}

/** Empty where there is no modules.json. @throws ShoalError `model_invalid` */
export function listModules(folder: string): readonly Module[] {
  const json = readJson(folder, FILE);
  if (json === undefined) return [];
  const parsed = Modules.safeParse(json, { error: describeIssue });
  if (!parsed.success) throw invalid(`${FILE} is no list of up to ${MAX_MODULES} modules with path and type`);
  return parsed.data.map(({ path, type }) => ({ path, type, kind: type.split('.').at(-1) ?? '' }));
}

/** @throws ShoalError `model_invalid` where the path of a module leads elsewhere */
export function refuseOutside(path: string): void {
  if (!OWN_FOLDER.test(path)) throw invalid(`${FILE}: ${JSON.stringify(path)} is no folder of this folder`);
}

/** @throws ShoalError `model_invalid` for links */
function isFolder(folder: string, path: string): boolean {
  const stat = lstatSync(join(folder, path), { throwIfNoEntry: false });
  if (stat?.isSymbolicLink()) throw invalid(`${join(folder, path)} is a symbolic link: copy the folder (cp -rL)`);
  return stat?.isDirectory() ?? false;
}

function readStep(folder: string, module: Module, open: OpenModule): SentenceStep {
  const { path, kind } = module;
  const file = join(path, 'config.json');
  if (kind === 'Normalize') {
    if (readJson(folder, file) !== undefined) check(NormalizeConfig, folder, file);
    return { kind: 'normalize' };
  }
  if (kind === 'LayerNorm') {
    const { dimension: width } = check(LayerNormConfig, folder, file);
    return { kind: 'norm', path, weights: open(path), width };
  }
  if (kind !== 'Dense') throw unsupported(module);
  const config = check(DenseConfig, folder, file);
  return {
    kind: 'dense',
    path,
    weights: open(path),
    inputs: config.in_features,
    outputs: config.out_features,
    bias: config.bias,
    activation: activationOf(config.activation_function, file),
    residual: config.use_residual,
  };
}

/** A module is small: its weights are in one file. */
function openModule(folder: string, path: string): Checkpoint {
  const checkpoint = openCheckpoint(join(folder, path));
  if (fileIn(join(folder, path), 'model.safetensors')) return checkpoint;
  throw invalid(`${path} has its weights in several files: only model.safetensors is read`);
}

function activationOf(name: string, file: string): DenseActivation {
  const found = ACTIVATIONS.find((known) => name.startsWith('torch.nn.') && name.split('.').at(-1) === known);
  if (found !== undefined) return found;
  const shown = JSON.stringify(name.slice(0, 100));
  throw invalid(`${file}: activation_function: ${shown} is not supported; supported are ${ACTIVATIONS.join(', ')}`);
}

function check<T extends z.ZodType>(schema: T, folder: string, file: string): z.output<T> {
  const json = readJson(folder, file);
  if (json === undefined) throw invalid(`${file} is missing, which ${FILE} names`);
  const parsed = schema.safeParse(json, { error: describeIssue });
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`);
  throw invalid(`${file}: ${faults.join('; ')}`);
}

function unsupported({ type, path }: Module): Error {
  const what = JSON.stringify(type.slice(0, 100));
  return invalid(
    `${FILE}: the module ${path || 'in front'} is a ${what}, which is not supported: a Transformer, Pooling, and any number of ` +
      'Dense, LayerNorm, Normalize and Dropout are. Export the whole model to ONNX, with an output sentence_embedding',
  );
}
