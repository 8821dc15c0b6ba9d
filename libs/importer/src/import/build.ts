/** One variant of a model: from the folder to an ONNX file. Runs in a thread of its own (`build-thread.ts`). */
import { join } from 'node:path';
import { saveModel } from '@shoal/onnx';
import { buildModel } from '../architectures/table.js';
import { openCheckpoint } from '../checkpoint.js';
import { takeExport } from '../exports/take.js';
import { ORIGINS_KEY } from '../origins.js';
import { KEPT, precisionOf } from '../precision/dtype.js';
import { readSentenceModules } from '../sentence/modules.js';
import { purposeOf } from './purpose.js';
import { readJson } from './source-files.js';
import { storeNarrow } from './store-narrow.js';

export interface BuildOrder {
  /** Where the checkpoint or the ONNX file lies. */
  readonly folder: string;
  /** Of an ONNX file to take as it is, relative to `folder`; undefined where the graph is built from the checkpoint. */
  readonly exported: string | undefined;
  readonly dtype: string;
  /** The ONNX file to write; its folder is there. */
  readonly path: string;
}

/** Returns what a reader should know of it, in words. @throws ShoalError `model_invalid`, `invalid_request` */
export function buildVariant({ folder, exported, dtype, path }: BuildOrder): readonly string[] {
  if (exported !== undefined) {
    const { model, changes } = takeExport(join(folder, exported), dtype === 'fp16');
    saveModel(model, path);
    return changes;
  }
  const { config, task, judge } = purposeOf(folder);
  const model = buildModel({
    config,
    generationConfig: readJson(folder, 'generation_config.json'),
    checkpoint: openCheckpoint(folder),
    precision: precisionOf(dtype, task === 'text-generation' ? 'decoder' : 'encoder'),
    sentence: task === 'feature-extraction' ? readSentenceModules(folder) : undefined,
    judge,
  });
  // Weights of the others are narrow as they are, and making them twice would take twice as long.
  saveModel(dtype === 'fp32' || dtype.startsWith(KEPT) ? storeNarrow(model) : model, path);
  return model.metadata.get(ORIGINS_KEY)?.split('\n') ?? [];
}
