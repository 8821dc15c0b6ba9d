/** What to make of what was found: which variants, under which names, from which files; and how to say it. */
import { lstatSync } from 'node:fs';
import { basename, dirname, join, posix } from 'node:path';
import { ShoalError, sizeOf } from '@shoal/contracts';
import { loadModel, readSignature } from '@shoal/onnx';
import { generatesText } from '../exports/open-decoder.js';
import { invalid } from '../invalid.js';
import { KEPT, precisionOf } from '../precision/dtype.js';
import type { FoundCheckpoint, FoundExport, ImportTask, Inspected } from './inspect.js';
import { GGUF } from './open-weights.js';
import { countOf } from './sizes.js';

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
  /** The GGUF or ONNX file that the weights come from, where they do. */
  readonly weightsFile?: string | undefined;
  /** Needed on disk at most. */
  readonly bytes: number;
  /** Of the weights in 32 bits: the memory that comparing with fp32 takes; 0 where nothing is compared. */
  readonly floatBytes: number;
}

/** @throws ShoalError `model_invalid` where the folder has no such dtype, `invalid_request` where there is none of that name */
export function choose(folder: string, inspected: Inspected, dtypes: readonly string[]): Plan {
  const { found, shoal } = inspected;
  if (found.kind === 'checkpoint') return chooseCheckpoint(found, shoal.task, dtypes);
  const variants = chooseExports(found, dtypes);
  const sources = variants.flatMap(({ exported = '' }) => [exported, ...dataOf(folder, exported)]);
  // Halves become twice as large.
  const bytes = 2 * sources.reduce((sum, path) => sum + lstatSync(join(folder, path)).size, 0);
  return { variants, task: shoal.task, sources: [...new Set(sources)], bytes, floatBytes: 0 };
}

function chooseCheckpoint(found: FoundCheckpoint, task: ImportTask | undefined, dtypes: readonly string[]): Plan {
  const kind = found.task === 'text-generation' ? 'decoder' : 'encoder';
  const standard = found.keepable ? KEPT : 'fp32';
  const names = new Set((dtypes.length === 0 ? [standard] : dtypes).map((dtype) => precisionOf(dtype, kind).name));
  const kept = [...names].find((name) => name.startsWith(KEPT));
  if (kept !== undefined && !found.keepable) {
    throw new ShoalError(
      'invalid_request',
      `--dtype ${kept} is for weights that came as integers of 4 or 8 bits, and this model has none: take fp32`,
    );
  }
  return {
    variants: [...names].map((name) => ({ name, file: fileOf(name), exported: undefined })),
    // Whether a classifier of texts ranks or classifies depends on its classes, which the loader counts.
    task: task ?? (found.task === 'text-classification' ? undefined : found.task),
    sources: found.files,
    weightsFile: found.weightsFile,
    bytes: [...names].reduce((sum, name) => sum + bytesOf(found, name), 0),
    floatBytes: WHOLE * found.parameters,
  };
}

/** Of a weight that 32-bit floats hold, and 16-bit ones. */
const [WHOLE, HALF] = [4, 2];
/** Of a weight of 4 bits and of 8: with its part of a scale and a zero point, in blocks of 16. */
const IN_BLOCKS = { int4: 0.8, int8: 1.32 };
/** Of what is not weights, as tables of angles. */
const BESIDE = 16 * 1024 * 1024;

/** What a variant takes on disk at most. Weights that came in 16 bits stay in 16; scales that did may have to be widened. */
function bytesOf({ parameters, bytes, origins, loose }: FoundCheckpoint, name: string): number {
  const [base = ''] = name.split('-');
  if (base === 'int4' || base === 'int8') {
    return BESIDE + parameters * IN_BLOCKS[name.endsWith('-h8') || name.includes('-h8-') ? 'int8' : base];
  }
  if (base === KEPT) return BESIDE + 2 * bytes + WHOLE * loose;
  if (base === 'fp16') return BESIDE + HALF * parameters;
  return BESIDE + (origins.length === 0 ? Math.min(bytes, WHOLE * parameters) : WHOLE * parameters);
}

/** @throws ShoalError `model_invalid` where no file is in such a dtype */
export function chooseExports({ files }: Pick<FoundExport, 'files'>, dtypes: readonly string[]): PlannedVariant[] {
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

/** Checks a file, and names those that it keeps weights in, relative to `folder`. */
function dataOf(folder: string, exported: string): readonly string[] {
  const path = join(folder, exported);
  loadModel(path);
  if (generatesText(path)) {
    throw invalid(
      `${exported} generates text, and its architecture is not known: see docs/importing-models.md for those that are`,
    );
  }
  return readSignature(path).externalFiles.map((file) => posix.join(dirname(exported), file));
}

function fileOf(dtype: string): string {
  return dtype === 'fp32' ? 'model.onnx' : `model_${dtype}.onnx`;
}

/** Lines for people: what was found, and what will be done. */
export function describe({ found, notes }: Inspected, plan: Plan, folder: string, target: string): readonly string[] {
  const what =
    found.kind === 'checkpoint'
      ? `${found.architecture}, ${countOf(found.parameters)} parameters in ${sizeOf(found.bytes)} of ${formOf(found.weightsFile)}`
      : `ONNX: ${found.files.map(({ path, dtype }) => `${path} (${dtype})`).join(', ')}`;
  const names = plan.variants.map(({ name, exported }) => (exported === undefined ? name : `${name} from ${exported}`));
  return [
    `Found ${what} in ${folder}`,
    ...(found.kind === 'checkpoint' ? found.origins.map((origin) => `  ${origin}`) : []),
    ...notes.map((note) => `  ${note}`),
    `Writing ${names.join(', ')} to ${target}`,
  ];
}

function formOf(weightsFile: string | undefined): string {
  if (weightsFile === undefined) return 'safetensors';
  return GGUF.test(weightsFile) ? 'GGUF' : `ONNX (${basename(weightsFile)})`;
}
