/** A decoder that another tool exported, as if it were a folder of Hugging Face: its weights go into the graph that is built here. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadModel, type Model, readSignature } from '@shoal/onnx';
import { Checkpoint } from '../checkpoint.js';
import { invalid } from '../invalid.js';
import { genaiConfig, headsOf, untied } from './decoder-config.js';
import { decoderTensors } from './decoder-tensors.js';

/**
 * Inputs that hold the keys and values of a layer, as exporters of decoders call them: past_key_values.0.key, past.0.value,
 * past_key_0, past_conv.3. Time series have a past_values, which is none.
 */
const CACHE = /^past(_(key_values|(key|value)(_self|_cross)?|conv|ssm|recurrent))?[._]\d+([._]\w+)*$/;

/** Whether the graph at `path` takes the cache of a decoder. @throws ShoalError `model_invalid` for no usable ONNX file */
export function generatesText(path: string): boolean {
  return readSignature(path).inputs.some(({ name }) => CACHE.test(name));
}

/** Of the folder that the export lies in; undefined where there is none. */
export interface ExportConfigs {
  readonly config: unknown;
  readonly genaiConfig: unknown;
}

/**
 * Writes a config.json that fits the graph at `path` into the folder `to`.
 *
 * @throws ShoalError `model_invalid` with what is missing, or cannot be taken
 */
export function unpackDecoder(path: string, configs: ExportConfigs, to: string): void {
  const model = loadModel(path);
  const config = configs.config ?? configOf(configs.genaiConfig, model);
  const tensors = decoderTensors(model.graph, headsOf(config));
  writeFileSync(join(to, 'config.json'), `${JSON.stringify(untied(config, tensors), null, 2)}\n`);
}

function configOf(json: unknown, { graph }: Model): unknown {
  if (json !== undefined) return genaiConfig(json, graph);
  throw invalid('config.json is missing: put the one of the model that the ONNX file was made from beside it');
}

/** The weights of the graph at `path`; `config` is its config.json. @throws ShoalError `model_invalid` */
export function openDecoder(path: string, config: unknown): Checkpoint {
  return new Checkpoint(decoderTensors(loadModel(path).graph, headsOf(config)));
}
