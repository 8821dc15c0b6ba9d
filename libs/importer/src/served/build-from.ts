/** The graph of a checkpoint that is not, or not only, in a folder: one that was changed, or that a served model was read back to. */
import { type Model, saveModel } from '@shoal/onnx';
import { architectureOf, buildModel } from '../architectures/table.js';
import type { Checkpoint } from '../checkpoint.js';
import { purposeOf } from '../import/purpose.js';
import { readJson } from '../import/source-files.js';
import { storeNarrow } from '../import/store-narrow.js';
import type { Precision } from '../precision/types.js';
import { readSentenceModules } from '../sentence/modules.js';

/** In the metadata of a model that was built otherwise than the config.json of its folder says: what it was built by. */
export const CONFIG_KEY = 'shoal.config';

export interface GraphOrder {
  /** Of the served version: what it is for, its modules behind the transformer and its generation settings are read here. */
  readonly folder: string;
  /** config.json, with the class that is built: as `openServed` gives it, or changed. */
  readonly config: unknown;
  /** Tensors of a module of sentence-transformers are in it too, below the path of the module: `2_Dense/linear.weight`. */
  readonly checkpoint: Checkpoint;
  readonly precision: Precision;
  /** Of a language model: the graph that is trained, without a cache and with the logits of every token; see `BuildRequest`. */
  readonly whole?: boolean;
}

/**
 * The graph as an import makes it, with its weights still where the checkpoint has them.
 *
 * @throws ShoalError `model_invalid` naming the field of config.json, or the tensor, that is wrong, missing or left over
 */
export function graphFrom({ folder, config, checkpoint, precision, whole = false }: GraphOrder): Model {
  const { task } = architectureOf(config);
  return buildModel({
    ...{ config, checkpoint, precision, whole },
    generationConfig: readJson(folder, 'generation_config.json'),
    sentence:
      task === 'feature-extraction' ? readSentenceModules(folder, (path) => checkpoint.below(`${path}/`)) : undefined,
    judge: purposeOf(folder).judge,
  });
}

function isOwn(folder: string, config: unknown): boolean {
  return JSON.stringify(purposeOf(folder).config) === JSON.stringify(config);
}

/**
 * Writes the graph to `path`, and `path`.data where it is large: the same bytes as an import would. Where `config` is not that of the
 * folder, the graph keeps it. `edit` changes the graph before,
 * whose weights are 32-bit floats then if `precision` is.
 *
 * @throws ShoalError as graphFrom
 */
export function buildFrom(
  order: GraphOrder & { readonly path: string },
  edit: (model: Model) => void = () => undefined,
): void {
  const model = graphFrom(order);
  if (!isOwn(order.folder, order.config)) model.metadata.set(CONFIG_KEY, JSON.stringify(order.config));
  edit(model);
  saveModel(order.precision.name === 'fp32' ? storeNarrow(model) : model, order.path);
}
