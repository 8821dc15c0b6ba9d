/** What is refused before any of it is fetched, and what is not: once it is here, more can be known. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { refuseBeforePull } from './before-pull.js';

/** Which dtypes are asked for of which files; `config` is the text of config.json. */
interface Case {
  readonly paths: readonly string[];
  readonly onnx?: readonly string[];
  readonly dtypes?: readonly string[];
  readonly config?: string;
}

const to = fileURLToPath(new URL('../../../../models', import.meta.url));
const check = ({ paths, onnx = [], dtypes = [], config = '{}' }: Case) =>
  refuseBeforePull({
    paths,
    onnx,
    name: 'M.gguf',
    request: { version: 1, to, force: false, dtypes },
    read: async () => config,
  });

const BERT = '{"architectures":["BertModel"]}';
const LLAMA = '{"architectures":["LlamaForCausalLM"]}';
const CHECKPOINT = ['config.json', 'tokenizer.json', 'model.safetensors'];
const ONNX = ['config.json', 'tokenizer.json', 'onnx/model.onnx'];

test.each<[string, Case, RegExp]>([
  [
    'parts of a GGUF file',
    { paths: ['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf'] },
    /^the file is one of 2 that /,
  ],
  ['a dtype that is none', { paths: CHECKPOINT, config: LLAMA, dtypes: ['int3'] }, /^--dtype "int3" is not one of/],
  [
    'an architecture that is not known',
    { paths: CHECKPOINT, config: '{"architectures":["T5Model"]}' },
    /"T5Model" is not/,
  ],
  [
    'an old tokenizer',
    { paths: ['config.json', 'vocab.txt', 'model.safetensors'], config: BERT },
    /^tokenizer.json is missing; vocab.txt/,
  ],
  [
    'an old tokenizer beside ONNX',
    { paths: ['config.json', 'vocab.txt', 'model.onnx'], config: BERT },
    /^tokenizer.json is missing; vocab.txt/,
  ],
  [
    'a precision that an encoder is not there in',
    { paths: ONNX, onnx: ['onnx/model.onnx', 'onnx/model_fp16.onnx'], dtypes: ['int8'], config: BERT },
    /^there is no ONNX file in int8, only in fp32, fp16; other precisions are made from a checkpoint/,
  ],
  [
    'the same of a file that was named',
    { paths: ['x.onnx'], dtypes: ['int8'] },
    /^there is no ONNX file in int8, only in fp32;/,
  ],
])('%s', async (_, files, message) => {
  await expect(check(files)).rejects.toThrow(message);
});

test.each<[string, Case]>([
  ['a whole GGUF file', { paths: ['m-00001-of-00001.gguf'], dtypes: ['int4'] }],
  ['a checkpoint in any precision', { paths: CHECKPOINT, config: BERT, dtypes: ['fp32', 'int8'] }],
  ['an option that decoders alone have', { paths: CHECKPOINT, config: LLAMA, dtypes: ['int8-b64'] }],
  ['the weights of what generates text', { paths: ONNX, onnx: ['onnx/model.onnx'], dtypes: ['int8'], config: LLAMA }],
  ['of what does not say what it is', { paths: ONNX, onnx: ['onnx/model.onnx'], dtypes: ['int8'] }],
  ['of a config.json that is broken', { paths: ONNX, onnx: ['onnx/model.onnx'], dtypes: ['int8'], config: '{' }],
  ['of the builder', { paths: ['genai_config.json', 'model.onnx'], onnx: ['model.onnx'], dtypes: ['int4'] }],
  [
    'a precision that is there',
    { paths: ONNX, onnx: ['onnx/model.onnx', 'onnx/model_int8.onnx'], dtypes: ['int8'], config: BERT },
  ],
  ['tensors beside a vocabulary', { paths: ['shoal.json', 'vocab.txt', 'model.onnx'] }],
])('%s may be fetched', async (_, files) => {
  await check(files);
});

test('a place that is taken, unless it may be replaced, and a name that is none', async () => {
  const of = (name: string, own: string, force = false) =>
    refuseBeforePull({
      ...{ paths: ['m.gguf'], onnx: [], name: own, read: async () => '' },
      request: { ...(name !== '' && { name }), version: 1, to, force, dtypes: [] },
    });
  await expect(of('', 'WordNet-Topic.gguf')).rejects.toThrow(/wordnet-topic\/1 is there: --version 2 adds/);
  await expect(of('wordnet-topic', 'x')).rejects.toThrow(/is there/);
  await expect(of('../x', 'x')).rejects.toThrow(/"..\/x" is not a model name/);
  await of('', 'WordNet-Topic.gguf', true);
});
