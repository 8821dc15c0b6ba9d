/** What to make of what was found: which variants, under which names, from which files; and how to say it. */
import { lstatSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { loadModel, readSignature } from '@shoal/onnx';
import { invalid } from '../invalid.js';
import { KEPT, precisionOf } from '../precision/dtype.js';
import type { FoundCheckpoint, FoundExport, ImportTask, Inspected } from './inspect.js';
import { megabytes } from './megabytes.js';

export interface PlannedVariant {
  /** As `--dtype` has it. */
  readonly name: string;
  /** In `onnx/`. */
  readonly file: string;
  /** The ONNX file to take, relative to the folder; undefined where the graph is built. */
  readonly exported: string | undefined;
}

export interface Plan {
  /** The one that requests get first is the first. */
  readonly variants: readonly PlannedVariant[];
  /** Undefined where the loader tells by looking at the graph. */
  readonly task: ImportTask | undefined;
  /** Files that the weights come from, relative to the folder. */
  readonly sources: readonly string[];
  /** Needed on disk at most. */
  readonly bytes: number;
}

/** Bytes of a weight at most. */
const WIDEST = 4;

/** @throws ShoalError `model_invalid` where the folder has no such dtype, `invalid_request` where there is none of that name */
export function choose(folder: string, inspected: Inspected, dtypes: readonly string[]): Plan {
  const { found, shoal } = inspected;
  if (found.kind === 'checkpoint') return chooseCheckpoint(found, shoal.task, dtypes);
  const variants = chooseExports(found, dtypes);
  const sources = variants.flatMap(({ exported = '' }) => [exported, ...dataOf(folder, exported)]);
  // Halves become twice as large.
  const bytes = 2 * sources.reduce((sum, path) => sum + lstatSync(join(folder, path)).size, 0);
  return { variants, task: shoal.task, sources: [...new Set(sources)], bytes };
}

function chooseCheckpoint(found: FoundCheckpoint, task: ImportTask | undefined, dtypes: readonly string[]): Plan {
  const kind = found.task === 'text-generation' ? 'decoder' : 'encoder';
  const standard = found.origins.length === 0 ? 'fp32' : KEPT;
  const names = new Set((dtypes.length === 0 ? [standard] : dtypes).map((dtype) => precisionOf(dtype, kind).name));
  const kept = [...names].find((name) => name.startsWith(KEPT));
  if (kept !== undefined && found.origins.length === 0) {
    throw new ShoalError(
      'invalid_request',
      `--dtype ${kept} is for quantised checkpoints, and this one is none: take fp32`,
    );
  }
  return {
    variants: [...names].map((name) => ({ name, file: fileOf(name), exported: undefined })),
    // Whether a classifier of texts ranks or classifies depends on its classes, which the loader counts.
    task: task ?? (found.task === 'text-classification' ? undefined : found.task),
    sources: found.files,
    bytes: names.size * WIDEST * found.parameters,
  };
}

function chooseExports({ files }: FoundExport, dtypes: readonly string[]): PlannedVariant[] {
  const have = files.map(({ dtype }) => dtype);
  const pathOf = (name: string) =>
    // 16-bit floats widen to 32 bits without loss.
    (files.find(({ dtype }) => dtype === name) ?? files.find(({ dtype }) => name === 'fp32' && dtype === 'fp16'))?.path;
  const standard = pathOf('fp32') === undefined ? have.slice(0, 1) : ['fp32'];
  return [...new Set(dtypes.length === 0 ? standard : dtypes)].map((name) => {
    const exported = pathOf(name);
    if (exported !== undefined) return { name, file: fileOf(name), exported };
    throw invalid(
      `there is no ONNX file in ${name}, only in ${have.join(', ')}; other precisions are made from a checkpoint ` +
        '(model.safetensors) of a supported architecture',
    );
  });
}

/**
 * Inputs that hold the keys and values of a layer, as the exporters of decoders call them: past_key_values.0.key, past.0.value,
 * past_key_0, past_conv.3. Time series have a past_values, which is none.
 */
const CACHE = /^past(_(key_values|(key|value)(_self|_cross)?|conv|ssm|recurrent))?[._]\d+([._]\w+)*$/;

/** Checks a file, and names those that it keeps weights in, relative to `folder`. */
function dataOf(folder: string, exported: string): readonly string[] {
  const path = join(folder, exported);
  loadModel(path);
  const { inputs, externalFiles } = readSignature(path);
  const cache = inputs.find(({ name }) => CACHE.test(name));
  if (cache !== undefined) {
    throw invalid(
      `${exported} generates text (it takes ${cache.name}): such graphs are built from the checkpoint ` +
        '(model.safetensors), and not taken from ONNX yet',
    );
  }
  return externalFiles.map((file) => posix.join(dirname(exported), file));
}

function fileOf(dtype: string): string {
  return dtype === 'fp32' ? 'model.onnx' : `model_${dtype}.onnx`;
}

/** Lines for people: what was found, and what will be done. */
export function describe({ found, notes }: Inspected, plan: Plan, folder: string, target: string): readonly string[] {
  const what =
    found.kind === 'checkpoint'
      ? `${found.architecture}, ${(found.parameters / 1e6).toFixed(1)} M parameters in ${megabytes(found.bytes)} of safetensors`
      : `ONNX: ${found.files.map(({ path, dtype }) => `${path} (${dtype})`).join(', ')}`;
  const names = plan.variants.map(({ name, exported }) => (exported === undefined ? name : `${name} from ${exported}`));
  return [
    `Found ${what} in ${folder}`,
    ...(found.kind === 'checkpoint' ? found.origins.map((origin) => `  ${origin}`) : []),
    ...notes.map((note) => `  ${note}`),
    `Writing ${names.join(', ')} to ${target}`,
  ];
}
