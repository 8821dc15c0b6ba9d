/** Which architectures can be imported. The next one is one file beside this one, and a line here. */
import type { Model } from '@shoal/onnx';
import { z } from 'zod';
import { invalid } from '../invalid.js';
import { addSentenceModules } from '../sentence/add-modules.js';
import { bert } from './bert.js';
import { distilbert } from './distilbert.js';
import { llama } from './llama.js';
import { mistral } from './mistral.js';
import { modernbert } from './modernbert.js';
import { mpnet } from './mpnet.js';
import { qwen2 } from './qwen2.js';
import { qwen3 } from './qwen3.js';
import { roberta } from './roberta.js';
import type { Architecture, BuildRequest } from './types.js';

/** By the name of transformers' class, as `architectures` of config.json has it. */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  ...bert,
  ...distilbert,
  ...roberta,
  ...mpnet,
  ...modernbert,
  ...llama,
  ...mistral,
  ...qwen2,
  ...qwen3,
};

/** Where config.json names no class: the one that a model type nearly always means. */
const BY_MODEL_TYPE: Readonly<Record<string, string>> = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
};

const Named = z.object({ architectures: z.array(z.string()).nullish(), model_type: z.string().nullish() });

/** @throws ShoalError `model_invalid` where config.json names no architecture that is known */
export function architectureOf(config: unknown): Architecture {
  const named = Named.safeParse(config);
  const { architectures, model_type: type } = named.data ?? {};
  const name = architectures?.[0] ?? (Object.hasOwn(BY_MODEL_TYPE, type ?? '') ? BY_MODEL_TYPE[type ?? ''] : undefined);
  if (name === undefined) throw invalid('config.json: architectures must name the class of the model');
  const found = Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined;
  if (found !== undefined) return found;
  const [shown, known] = [JSON.stringify(name.slice(0, 100)), Object.keys(ARCHITECTURES).join(', ')];
  throw invalid(`config.json: the architecture ${shown} is not supported; supported are ${known}`);
}

/** As many names as a reader can take in at once. */
const SHOWN = 5;

/**
 * The graph of a checkpoint, with its weights still in their files.
 *
 * @throws ShoalError `model_invalid` naming the field of config.json, or the tensor, that cannot be imported; tensors that
 *   the architecture does not know are errors too, since what they do would be lost
 */
export function buildModel(request: BuildRequest): Model {
  const built = architectureOf(request.config).build(request);
  const model = request.sentence === undefined ? built : addSentenceModules(built, request.sentence);
  const { unused } = request.checkpoint;
  if (unused.length === 0) return request.precision.finish?.(model) ?? model;
  const more = unused.length > SHOWN ? ` and ${unused.length - SHOWN} more` : '';
  throw invalid(
    `the checkpoint has tensors that this architecture does not use: ${unused.slice(0, SHOWN).join(', ')}${more}`,
  );
}
