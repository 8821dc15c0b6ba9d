/** One variant of a model: from the folder to an ONNX file. Runs in a thread of its own (`build-thread.ts`). */
import { join } from 'node:path';
import { type Model, saveModel } from '@shoal/onnx';
import { buildModel } from '../architectures/table.js';
import { takeExport } from '../exports/take.js';
import { ORIGINS_KEY } from '../origins.js';
import { KEPT, precisionOf } from '../precision/dtype.js';
import { readSentenceModules } from '../sentence/modules.js';
import { openWeights } from './open-weights.js';
import { purposeOf } from './purpose.js';
import { readJson } from './source-files.js';
import { storeNarrow } from './store-narrow.js';

export interface BuildOrder {
  /** Where the checkpoint or the ONNX file lies. */
  readonly folder: string;
  /** The GGUF or ONNX file that has the weights, where `folder` does not. */
  readonly weightsFile?: string | undefined;
  /** Of an ONNX file to take as it is, relative to `folder`; undefined where the graph is built from the checkpoint. */
  readonly exported: string | undefined;
  readonly dtype: string;
  /** The ONNX file to write; its folder is there. */
  readonly path: string;
}

/**
 * Returns what a reader should know of it, in words. `onSize` is told how many bytes will be written, before they are.
 *
 * @throws ShoalError `model_invalid`, `invalid_request`
 */
export function buildVariant(order: BuildOrder, onSize: (bytes: number) => void = () => {}): readonly string[] {
  const { model, said } = variantOf(order);
  onSize(weightBytes(model));
  saveModel(model, order.path);
  return said;
}

/** Of all weights together, those that are shared once. */
function weightBytes({ graph }: Model): number {
  const parts = new Set([...graph.initializers.values()].map(({ data }) => data));
  return [...parts].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function variantOf({ folder, weightsFile, exported, dtype }: BuildOrder): { model: Model; said: readonly string[] } {
  if (exported !== undefined) {
    const { model, changes } = takeExport(join(folder, exported), dtype === 'fp16');
    return { model, said: changes };
  }
  const { config, task, judge } = purposeOf(folder);
  const model = buildModel({
    config,
    generationConfig: readJson(folder, 'generation_config.json'),
    checkpoint: openWeights(folder, weightsFile, config),
    precision: precisionOf(dtype, task === 'text-generation' ? 'decoder' : 'encoder'),
    sentence: task === 'feature-extraction' ? readSentenceModules(folder) : undefined,
    judge,
  });
  // Weights of the others are narrow as they are, and making them twice would take twice as long.
  const said = model.metadata.get(ORIGINS_KEY)?.split('\n') ?? [];
  return { model: dtype === 'fp32' || dtype.startsWith(KEPT) ? storeNarrow(model) : model, said };
}
