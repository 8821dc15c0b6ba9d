/** Which architectures can be imported. The next one is one file beside this one, and a line here. */
import type { Model } from '@shoal/onnx';
import { z } from 'zod';
import { invalid } from '../invalid.js';
import { ORIGINS_KEY, originsOf } from '../origins.js';
import { addSentenceModules } from '../sentence/add-modules.js';
import { albert } from './albert.js';
import { bert } from './bert.js';
import { deberta } from './deberta.js';
import { distilbert } from './distilbert.js';
import { electra } from './electra.js';
import { gemma2 } from './gemma2.js';
import { gemma3 } from './gemma3.js';
import { granite } from './granite.js';
import { gte } from './gte.js';
import { jinaBert } from './jina-bert.js';
import { llama } from './llama.js';
import { mistral } from './mistral.js';
import { modernbert } from './modernbert.js';
import { mpnet } from './mpnet.js';
import { nomicBert } from './nomic-bert.js';
import { olmo2 } from './olmo2.js';
import { phi3 } from './phi3.js';
import { qwen2 } from './qwen2.js';
import { qwen3 } from './qwen3.js';
import { roberta } from './roberta.js';
import { smollm3 } from './smollm3.js';
import type { Architecture, BuildRequest } from './types.js';

/** By the name of transformers' class, as `architectures` of config.json has it. */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  ...bert,
  ...distilbert,
  ...roberta,
  ...mpnet,
  ...modernbert,
  ...electra,
  ...albert,
  ...deberta,
  ...nomicBert,
  ...gte,
  ...jinaBert,
  ...llama,
  ...mistral,
  ...qwen2,
  ...qwen3,
  ...gemma2,
  ...gemma3,
  ...phi3,
  ...olmo2,
  ...granite,
  ...smollm3,
};

/** Where config.json names no class: the one that a model type nearly always means. */
const BY_MODEL_TYPE: Readonly<Record<string, string>> = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
  gemma2: 'Gemma2ForCausalLM',
  gemma3_text: 'Gemma3ForCausalLM',
  gemma3: 'Gemma3ForConditionalGeneration',
  phi3: 'Phi3ForCausalLM',
  olmo2: 'Olmo2ForCausalLM',
  granite: 'GraniteForCausalLM',
  smollm3: 'SmolLM3ForCausalLM',
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
  throw invalid(
    `config.json: the architecture ${JSON.stringify(name.slice(0, 100))} is not supported. ${adviceFor(name)}`,
  );
}

/** Classes without what they are for: `BertForMaskedLM` is one of Bert's. */
const familyOf = (name: string) => name.replace(/(Text)?(For[A-Z]\w*|Model)$/, '');

function adviceFor(name: string): string {
  const all = new Set(Object.keys(ARCHITECTURES).map(familyOf));
  const generating = Object.keys(ARCHITECTURES).filter((known) => ARCHITECTURES[known]?.task === 'text-generation');
  const generators = new Set(generating.map(familyOf));
  if (/(ForCausalLM|LMHeadModel|ForConditionalGeneration)$/.test(name)) {
    return `Of models that generate text these are, as checkpoints, GGUF or ONNX: ${[...generators].join(', ')}`;
  }
  const encoders = [...all].filter((family) => !generators.has(family));
  return (
    `Of others these are: ${encoders.join(', ')}; all else can be taken as ONNX: export the model ` +
    '(optimum-cli export onnx --model folder exported), see to it that there is a tokenizer.json, and import that folder'
  );
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
  const architecture = architectureOf(request.config);
  const build = (request.judge === undefined ? undefined : architecture.buildJudge) ?? architecture.build;
  const built = build(request);
  const model = request.sentence === undefined ? built : addSentenceModules(built, request.sentence);
  const { checkpoint, precision } = request;
  const { unused } = checkpoint;
  const origins = originsOf(checkpoint, precision);
  if (origins.length > 0) model.metadata.set(ORIGINS_KEY, origins.join('\n'));
  if (unused.length === 0) return precision.finish?.(model) ?? model;
  const more = unused.length > SHOWN ? ` and ${unused.length - SHOWN} more` : '';
  throw invalid(
    `the checkpoint has tensors that this architecture does not use: ${unused.slice(0, SHOWN).join(', ')}${more}`,
  );
}
