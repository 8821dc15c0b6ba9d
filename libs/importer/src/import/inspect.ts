/** Looks at a folder and decides what to make of it, before anything is written. */
import { lstatSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ShoalError, type ShoalJson } from '@shoal/contracts';
import { z } from 'zod';
import type { Architecture } from '../architectures/types.js';
import { checkpointFiles, hasCheckpoint, openCheckpoint } from '../checkpoint.js';
import { type ExportFile, findExports, usable } from '../exports/names.js';
import { invalid } from '../invalid.js';
import { originsOf } from '../origins.js';
import { readSentenceModules } from '../sentence/modules.js';
import { GGUF, openWeights, partsOf } from './open-weights.js';
import { purposeOf } from './purpose.js';
import { explainNothing, refuseVocabularyAlone, refuseWithoutTokenizer } from './refusals.js';
import { readShoal } from './shoal-json.js';
import { namesIn, onnxFilesIn } from './source-files.js';

export type ImportTask = Architecture['task'];

/** A model whose graph is built here, in any precision. */
export interface FoundCheckpoint {
  readonly kind: 'checkpoint';
  /** The class that config.json names. */
  readonly architecture: string;
  readonly task: ImportTask;
  readonly parameters: number;
  readonly bytes: number;
  /** What quantised matrices are, in words; empty where none is. */
  readonly origins: readonly string[];
  /** Whether there are matrices whose integers can be kept. */
  readonly keepable: boolean;
  /** Weights in matrices that came as integers and become floats whatever is asked for. */
  readonly loose: number;
  /** What holds the weights, relative to the folder; none where `weightsFile` does. */
  readonly files: readonly string[];
  /** The GGUF or ONNX file that holds the weights, where one does. */
  readonly weightsFile: string | undefined;
}

/** Graphs of another tool, taken as they are. */
export interface FoundExport {
  readonly kind: 'export';
  readonly files: readonly ExportFile[];
}

export interface Inspected {
  readonly found: FoundCheckpoint | FoundExport;
  /** The folder's own, which says more than could be guessed. */
  readonly shoal: ShoalJson;
  /** What was seen and is left aside, with the reason: for people. */
  readonly notes: readonly string[];
}

const Named = z.object({ architectures: z.array(z.string()).nullish(), model_type: z.string().nullish() });

/**
 * `folder`, which is one, holds all of it but, where one is given, the weights: those are in `weightsFile`. Where `onnxFile` is
 * given, relative to the folder, it is taken and no other form of the weights.
 *
 * @throws ShoalError `model_invalid` saying what the folder is and why it cannot be imported
 */
export function inspect(folder: string, weightsFile?: string, onnxFile?: string): Inspected {
  const names = namesIn(folder);
  const shoal = readShoal(folder);
  const exported = onnxFile === undefined ? onnxFilesIn(folder) : [onnxFile];
  const checkpoint = weightsFile !== undefined || (onnxFile === undefined && hasCheckpoint(names));
  if (!checkpoint && exported.length === 0) {
    // Says it better where the weights are pickled.
    if (names.some((name) => /^(pytorch_)?model\.(bin|pth?|ckpt)/.test(name))) openCheckpoint(folder);
    throw explainNothing(folder, names);
  }
  if (!checkpoint) {
    if (shoal.task !== 'tensors') refuseVocabularyAlone(names);
    return { ...inspectExports(folder, exported), shoal, notes: [] };
  }
  try {
    const { found, notes, template } = inspectCheckpoint(folder, names, shoal, weightsFile);
    const own = template === undefined ? shoal : { ...shoal, pair_template: template };
    return {
      found,
      shoal: own,
      notes: [...notes, ...leftAside([...exported, ...names.filter((name) => GGUF.test(name))])],
    };
  } catch (error) {
    // The architecture may be one that only another tool can export.
    const unknown = error instanceof ShoalError && /^config\.json: the architecture /.test(error.message);
    if (!unknown || exported.length === 0) throw error;
    return { ...inspectExports(folder, exported), shoal, notes: [error.message] };
  }
}

/** Of other forms of the weights. */
function leftAside(files: readonly string[]): string[] {
  const [first, ...more] = files;
  if (first === undefined) return [];
  const all = more.length === 0 ? `${first} is` : `${first} and ${more.length} more are`;
  return [`${all} left aside: the checkpoint serves for every precision`];
}

function inspectCheckpoint(
  folder: string,
  names: readonly string[],
  shoal: ShoalJson,
  weightsFile: string | undefined,
): Pick<Inspected, 'found' | 'notes'> & { readonly template: string | undefined } {
  const { config, task, template, notes } = purposeOf(folder, shoal);
  const named = Named.parse(config);
  const architecture = named.architectures?.[0] ?? named.model_type ?? '';
  refuseWithoutTokenizer(names);
  const checkpoint = openWeights(folder, weightsFile, config);
  const steps = (task === 'feature-extraction' ? readSentenceModules(folder)?.steps : undefined) ?? [];
  const modules = steps.flatMap((step) => (step.kind === 'normalize' ? [] : [step]));
  const own = weightsFile === undefined ? checkpointFiles(folder) : [];
  const files = [...own, ...modules.map(({ path }) => `${path}/model.safetensors`)];
  const parts = [
    ...(weightsFile === undefined ? [] : partsOf(weightsFile)),
    ...files.map((name) => join(folder, name)),
  ];
  const bytes = parts.reduce((sum, path) => sum + lstatSync(path).size, 0);
  const weights = [checkpoint, ...modules.map((module) => module.weights)];
  const parameters = weights.reduce((sum, { parameters: n }) => sum + n, 0);
  const origins = originsOf(checkpoint);
  const keepable = checkpoint.quantised.some(({ matrix }) => matrix.kept !== undefined);
  const loose = checkpoint.quantised
    .filter(({ matrix }) => matrix.kept === undefined)
    .reduce((sum, { shape: [rows, columns] }) => sum + rows * columns, 0);
  const about = { kind: 'checkpoint', architecture, task, parameters, bytes } as const;
  const found = { ...about, origins, keepable, loose, files, weightsFile };
  return { found, notes, template };
}

function inspectExports(folder: string, exported: readonly string[]): Pick<Inspected, 'found'> {
  const all = findExports(exported);
  const [files, { parts, unknown }] = [usable(all), all];
  if (files.length > 0) return { found: { kind: 'export', files } };
  if (parts.length > 0) {
    throw invalid(
      `${parts.join(', ')}: parts of a model, which are not taken from ONNX: import its checkpoint (model.safetensors) or, of one that ` +
        'generates text, an export in one file (model.onnx)',
    );
  }
  throw invalid(
    `${folder} has several ONNX files (${unknown.join(', ')}): give the one to import, ${join(basename(folder), unknown[0]!)}`,
  );
}
