/**
 * A GGUF file as if it were a folder of Hugging Face: config.json, generation_config.json and the tokenizer's files, and the
 * weights under the names that go with them. What builds graphs knows of no difference.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tokenizers from 'tokenizers';
import { Checkpoint } from '../checkpoint.js';
import { invalid } from '../invalid.js';
import { type ConfigSource, configOf, familyOf, type Json, refuseChanging } from './families.js';
import { Metadata, needed } from './metadata.js';
import { type Gguf, readGguf } from './read.js';
import { splitGguf } from './split.js';
import { tokenizerOf } from './tokenizer.js';
import { readVocabulary, type Vocabulary } from './tokens.js';
import { checkpointTensors, numbersOf, ROTARY_FACTORS, refuseForms } from './weights.js';

const ARCHITECTURE = 'general.architecture';
const EMBEDDING = 'token_embd.weight';
/** Rotary factors are read at once: a number for each pair of a head. */
const MAX_FACTORS = 4096;

/** Writes the small files of a model into `folder`. @throws ShoalError `model_invalid` with what is missing or not supported */
export function unpackGguf(path: string, folder: string): void {
  const gguf = readGguf(path);
  const { config, metadata, vocabulary, ...model } = described(gguf);
  checkpointOf(gguf, { config, ...model });
  const { texts, bos, eos, unknown, padding, ends } = vocabulary;
  const named = { bos_token: bos, eos_token: eos, unk_token: unknown, pad_token: padding };
  const tokens = Object.entries(named).flatMap(([name, id]) => (id === undefined ? [] : [[name, texts[id]] as const]));
  const files: Record<string, object> = {
    'config.json': config,
    'generation_config.json': { eos_token_id: ends, ...(bos !== undefined && { bos_token_id: bos }) },
    'tokenizer.json': tokenizerOf(metadata, vocabulary),
    'tokenizer_config.json': {
      ...{ tokenizer_class: 'PreTrainedTokenizerFast', clean_up_tokenization_spaces: false },
      ...{ model_max_length: config.max_position_embeddings, ...Object.fromEntries(tokens) },
      chat_template: metadata.text('tokenizer.chat_template'),
    },
  };
  for (const [name, json] of Object.entries(files)) writeFileSync(join(folder, name), `${JSON.stringify(json)}\n`);
  tryTokenizer(join(folder, 'tokenizer.json'));
}

/** What is read when the model is served is read now. */
function tryTokenizer(path: string): void {
  try {
    tokenizers.Tokenizer.fromFile(path);
  } catch (error) {
    throw invalid(`the tokenizer in the metadata cannot be used: ${(error as Error).message.slice(0, 500)}`, error);
  }
}

/** The weights. @throws ShoalError `model_invalid` */
export function openGguf(path: string): Checkpoint {
  const gguf = readGguf(path);
  return checkpointOf(gguf, described(gguf));
}

function checkpointOf({ tensors }: Gguf, { config, family }: Pick<Described, 'config' | 'family'>): Checkpoint {
  const heads = { queries: Number(config.num_attention_heads), keys: Number(config.num_key_value_heads) };
  return new Checkpoint(checkpointTensors(tensors, family, heads));
}

interface Described extends Pick<ConfigSource, 'metadata' | 'family'> {
  readonly config: Json;
  readonly vocabulary: Vocabulary;
}

function described({ metadata: values, tensors }: Gguf): Described {
  refuseForms(tensors);
  const metadata = new Metadata(values);
  refuseParts(metadata);
  const architecture = needed(metadata.text(ARCHITECTURE), ARCHITECTURE);
  const family = familyOf(architecture);
  refuseChanging(architecture, family, metadata);
  const vocabulary = readVocabulary(metadata);
  const rows = tensors.get(EMBEDDING)?.shape[0];
  if (rows === undefined) throw invalid(`the file has no tensor ${EMBEDDING}: it is not a whole model`);
  if (rows < vocabulary.texts.length) {
    throw invalid(`${EMBEDDING} has ${rows} rows for ${vocabulary.texts.length} tokens`);
  }
  const config = configOf({
    ...{ metadata, architecture, family, ends: vocabulary.ends, vocabulary: rows },
    has: (name) => tensors.has(name),
    factors(name) {
      const tensor = tensors.get(name);
      if (tensor === undefined) return undefined;
      if (tensor.shape.length !== 1 || (tensor.shape[0] ?? 0) > MAX_FACTORS || !ROTARY_FACTORS.includes(name)) {
        throw invalid(`${name} has the shape ${tensor.shape.join(' × ')}`);
      }
      return Array.from(numbersOf(name, tensor));
    },
  });
  return { metadata, family, config, vocabulary };
}

/** Of a model that was split; of one that reads images; of an adapter. */
function refuseParts(metadata: Metadata): void {
  const parts = metadata.number('split.count') ?? 0;
  if (parts > 1) {
    throw splitGguf(parts);
  }
  const type = metadata.text('general.type') ?? 'model';
  if (type === 'model') return;
  throw invalid(`general.type in the metadata is ${JSON.stringify(type.slice(0, 60))}: no whole model`);
}
