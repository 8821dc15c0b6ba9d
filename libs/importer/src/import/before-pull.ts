/** What can be known of an import before the model is fetched: its place, the names of its files, and its config.json. */
import { join } from 'node:path';
import { parseJsonFile, ShoalError } from '@shoal/contracts';
import { z } from 'zod';
import { architectureOf } from '../architectures/table.js';
import { hasCheckpoint } from '../checkpoint.js';
import { findExports, usable } from '../exports/names.js';
import { splitGguf } from '../gguf/split.js';
import type { ImportRequest } from '../import-folder.js';
import { precisionOf } from '../precision/dtype.js';
import { modelName } from './model-name.js';
import { GGUF } from './open-weights.js';
import { refuseTaken } from './place.js';
import { chooseExports } from './plan.js';
import { refuseVocabularyAlone, refuseWithoutTokenizer } from './refusals.js';

export interface Fetchable {
  /** Of the files that would be fetched, relative to the model's folder. */
  readonly paths: readonly string[];
  /** Those that it could be made of, also where they would not be fetched; empty where a file was named. */
  readonly onnx: readonly string[];
  /** What the folder or file will be called. */
  readonly name: string;
  readonly request: Pick<ImportRequest, 'name' | 'version' | 'to' | 'force' | 'dtypes'>;
  /** The text of a small one of `paths`. */
  readonly read: (path: string) => Promise<string>;
}

const Named = z.object({ architectures: z.array(z.string()).nullish() });
const GENERATES = /(ForCausalLM|LMHeadModel|ForConditionalGeneration)$/;

/**
 * Refuses what `importFolder` would refuse once all of it is here, in its words, as far as little tells.
 *
 * @throws ShoalError `model_invalid`, `invalid_request` for a dtype; whatever `read` throws
 */
export async function refuseBeforePull({ paths, onnx, name, request, read }: Fetchable): Promise<void> {
  const { dtypes, to, version, force } = request;
  await refuseTaken(join(to, modelName(request.name, name), String(version)), force);
  for (const dtype of dtypes) refuseUnknown(dtype);
  const gguf = paths.find((path) => GGUF.test(path));
  if (gguf !== undefined) {
    const parts = Number(/-\d{5}-of-(\d{5})\.gguf$/i.exec(gguf)?.[1] ?? 1);
    if (parts > 1) throw splitGguf(parts);
    return;
  }
  const config = paths.includes('config.json') ? parsed(await read('config.json')) : undefined;
  if (hasCheckpoint(paths)) {
    if (config !== undefined) architectureOf(config);
    refuseWithoutTokenizer(paths);
    return;
  }
  // A folder's own settings may say that no text is read.
  if (!paths.includes('shoal.json')) refuseVocabularyAlone(paths);
  const graphs = onnx.length > 0 ? onnx : paths.filter((path) => /\.onnx$/i.test(path));
  const files = usable(findExports(graphs));
  if (dtypes.length > 0 && files.length > 0 && !mayGenerate(paths, config)) chooseExports({ files }, dtypes);
}

/** Of every kind of model. */
function refuseUnknown(dtype: string): void {
  try {
    precisionOf(dtype, 'encoder');
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    precisionOf(dtype, 'decoder');
  }
}

/** Undefined for no JSON, of which more can be said once it is here. */
function parsed(text: string): unknown {
  try {
    return parseJsonFile(Buffer.from(text));
  } catch {
    return undefined;
  }
}

/** The weights of a graph that generates text become those of another one, in any precision. */
function mayGenerate(paths: readonly string[], config: unknown): boolean {
  if (paths.includes('genai_config.json')) return true;
  const name = Named.safeParse(config).data?.architectures?.[0];
  return paths.includes('config.json') && (name === undefined || GENERATES.test(name));
}
