import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { TensorSpec } from '@shoal/contracts';
import { dataOf, GraphBuilder, saveModel } from '@shoal/onnx';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  BUNDLED_MODELS,
  decoder,
  type ModelFolders,
  modelFolders,
  onnx,
  TEXT_INPUTS,
} from '../testing/model-folder.js';
import { embeddingOutputs } from './graph.js';
import { openRepository } from './repository.js';

let folders: ModelFolders;
beforeEach(() => {
  folders = modelFolders();
});
afterEach(() => folders.remove());

const tensor = (name: string, shape: TensorSpec['shape']): TensorSpec => ({ name, type: 'float32', shape });
const PLAIN = { 'model.onnx': onnx([tensor('x', ['batch', 4])], [tensor('y', ['batch', 2])]) };

const LFS_POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 12345\n`;

/** The one problem of a repository whose only folder is `m`. */
async function problemOf(files: Readonly<Record<string, unknown>>): Promise<string> {
  folders.write('m/1', files);
  const { problems, models } = await openRepository(folders.root);
  expect(models).toEqual([]);
  expect(problems.map(({ folder }) => folder)).toEqual(['m/1']);
  return problems[0]!.message;
}

test('the bundled models are read with their task, limits, labels and example', async () => {
  const { models, problems } = await openRepository(BUNDLED_MODELS);
  expect(problems).toEqual([]);
  const [embed, lm, draft, topic] = models;
  const context = { maxTokens: 256, generator: { maxContext: 256, vocabulary: 4096, eosTokenIds: [3] } };
  expect([lm, draft]).toMatchObject([context, context]);
  expect(embed).toMatchObject({ task: 'feature-extraction', maxTokens: 128, dimensions: 192, batchable: true });
  expect(embed!.text).toMatchObject({ pooling: ['mean'], normalize: true, vocabSize: 6000, padId: 0 });
  expect(topic).toMatchObject({ task: 'text-classification', queue: 'wordnet-topic.1.fp32.0' });
  expect(topic!.labels).toHaveLength(25);
});

test('files of JSON are refused by their size, nesting and number of values before they are parsed', async () => {
  const nested = '['.repeat(4_000_000);
  expect(await problemOf({ ...PLAIN, 'config.json': nested })).toBe(
    'config.json is not valid: it is nested more than 64 deep',
  );
  expect(await problemOf({ ...PLAIN, 'config.json': `${nested}${nested}` })).toBe(
    'config.json has 8000000 bytes; at most 4194304 are read',
  );
  const many = '{"added_tokens":[],'.padEnd(9_000_000, '0,');
  expect(await problemOf({ ...PLAIN, 'config.json': {}, 'tokenizer.json': many })).toBe(
    'tokenizer.json is not valid: it has more than 4194304 values',
  );
});

test('of the faults of a file some are named', async () => {
  const id2label = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [n, n]));
  const problem = await problemOf({ ...PLAIN, 'config.json': { id2label } });
  expect(problem).toContain('config.json: id2label');
  expect(problem.length).toBeLessThan(1000);
});

test('a broken folder is reported and hides no other', async () => {
  folders.write('good', PLAIN);
  folders.write('broken', { 'model.onnx': 'not a model' });
  folders.write('Bad Name', PLAIN);
  folders.write('empty/1', { 'config.json': {} });
  const { models, problems } = await openRepository(folders.root);
  expect(models.map(({ name }) => name)).toEqual(['good']);
  expect(problems.map(({ folder }) => folder)).toEqual(['Bad Name', 'broken', 'empty/1']);
  expect(problems[1]!.message).toContain('model.onnx is not a usable ONNX file');
  expect(problems[2]!.message).toContain('no ONNX file');
});

test('what is no model yet is told with what makes one of it', async () => {
  folders.write('.', { 'tiny-q4_0.gguf': 'x', 'net.onnx': 'x', 'README.md': 'x', 'models.json': '{}' });
  folders.write('checkpoint', { 'config.json': {}, 'model.safetensors': 'x' });
  folders.write('held/3', { 'tiny.gguf': 'x' });
  folders.write('other/1', { 'onnx/net.onnx': 'x' });
  folders.write('late/v2', PLAIN);
  folders.write('good', PLAIN);
  folders.write('good/v2', PLAIN);
  folders.write('good/notes', { 'a.txt': 'x' });
  const { models, problems } = await openRepository(folders.root);
  expect(models.map(({ queue }) => queue)).toEqual(['good.1.fp32.0']);
  const at = (path: string) => join(folders.root, path);
  const messages = new Map(problems.map(({ folder, message }) => [folder, message]));
  expect([...messages.keys()].sort()).toEqual(
    ['checkpoint', 'good/v2', 'held/3', 'late/v2', 'net.onnx', 'other/1', 'tiny-q4_0.gguf'].sort(),
  );
  expect(messages.get('tiny-q4_0.gguf')).toContain(`"npx shoal import ${at('tiny-q4_0.gguf')}" makes a model of it`);
  expect(messages.get('checkpoint')).toBe(
    `has weights (model.safetensors) and no ONNX file: "npx shoal import ${at('checkpoint')}" makes a model of it`,
  );
  // Its own version is taken, by what would be imported.
  expect(messages.get('held/3')).toContain(`"npx shoal import ${at('held/3')} --name held --version 4"`);
  expect(messages.get('net.onnx')).toContain(at('net/1/model.onnx'));
  expect(messages.get('other/1')).toContain('rename onnx/net.onnx');
  expect(messages.get('late/v2')).toContain('rename it to 2');
});

test('the newest version serves, by number; a folder without versions is version 1', async () => {
  for (const version of ['9', '10', 'notes']) folders.write(`many/${version}`, PLAIN);
  folders.write('one', PLAIN);
  const { models } = await openRepository(folders.root);
  expect(models.map(({ queue }) => queue)).toEqual(['many.10.fp32.0', 'many.9.fp32.0', 'one.1.fp32.0']);
});

test('variants are named by the suffixes of transformers.js, Optimum and sentence-transformers', async () => {
  const model = PLAIN['model.onnx'];
  const files = ['model', 'model_fp16', 'model_quantized', 'model_q4', 'model_O3', 'model_qint8_avx512_vnni', 'other'];
  folders.write('m', Object.fromEntries(files.map((name) => [`onnx/${name}.onnx`, model])));
  const { models } = await openRepository(folders.root);
  expect(models.map(({ variant }) => variant)).toEqual(['fp32', 'fp16', 'int4', 'int8', 'o3', 'qint8_avx512_vnni']);
  expect(models[3]!.queue).toBe('m.1.int8.0');
});

test('variants may be called as what every object has, or by a number, and the default one stays the first', async () => {
  const file = PLAIN['model.onnx'];
  const named = ['model.onnx', 'model_8.onnx', 'model_constructor.onnx', 'model_tostring.onnx'];
  folders.write('m', Object.fromEntries(named.map((name) => [name, file])));
  const { models } = await openRepository(folders.root);
  expect(models.map(({ variant }) => variant)).toEqual(['fp32', '8', 'constructor', 'tostring']);
});

test('shoal.json names variants and the default one', async () => {
  const variants = { small: 'a.onnx', large: 'weights/b.onnx' };
  const model = PLAIN['model.onnx'];
  folders.write('m', {
    'shoal.json': { variants, default_variant: 'large' },
    'a.onnx': model,
    'weights/b.onnx': model,
  });
  const { models } = await openRepository(folders.root);
  expect(models.map(({ variant }) => variant)).toEqual(['large', 'small']);
});

test('errors in JSON files name the file and the field', async () => {
  expect(await problemOf({ ...PLAIN, 'shoal.json': { limits: { max_batch_size: 0 } } })).toMatch(
    /^shoal\.json: limits\.max_batch_size: /,
  );
  expect(await problemOf({ ...PLAIN, 'shoal.json': { tsak: 'tensors' } })).toMatch(/shoal\.json: .*tsak/);
  expect(await problemOf({ ...PLAIN, 'shoal.json': '{' })).toBe('shoal.json is not valid JSON: see line 1, column 2');
});

test('what is neither a file nor a folder is called so', async () => {
  execFileSync('mkfifo', [join(folders.root, 'pipe')]);
  const { problems } = await openRepository(folders.root);
  expect(problems).toEqual([{ folder: 'pipe', message: 'is neither a file nor a folder' }]);
});

test('symbolic links are refused, as folders, as files and on the way', async () => {
  folders.write('real', PLAIN);
  symlinkSync(join(folders.root, 'real'), join(folders.root, 'linked-folder'));
  folders.write('linked-file', { 'config.json': {} });
  symlinkSync(join(folders.root, 'real', 'model.onnx'), join(folders.root, 'linked-file', 'model.onnx'));
  folders.write('linked-inside', { 'config.json': {} });
  symlinkSync(join(folders.root, 'real'), join(folders.root, 'linked-inside', 'onnx'));
  const { models, problems } = await openRepository(folders.root);
  expect(models.map(({ name }) => name)).toEqual(['real']);
  expect(problems.map(({ message }) => message)).toEqual(
    ['model.onnx', 'symbolic link', 'onnx/model.onnx'].map(() => expect.stringContaining('symbolic link')),
  );
});

test.each([
  ['the graph', 'model.onnx', { 'model.onnx': LFS_POINTER }],
  ['a JSON file', 'tokenizer.json', { ...PLAIN, 'tokenizer.json': LFS_POINTER }],
])('%s as a clone without git-lfs has it is told as such', async (_, name, files) => {
  expect(await problemOf(files)).toContain(`${name} is a Git LFS pointer, not the file`);
});

test('external data as a clone without git-lfs has it is told as such', async () => {
  const g = new GraphBuilder({ name: 'data', opset: 17, irVersion: 8 });
  const w = g.constant('w', 'float32', [32, 32], dataOf(new Float32Array(1024)));
  g.output('y', g.op('MatMul', [g.input('x', 'float32', ['batch', 32]), w]), 'float32', ['batch', 32]);
  const folder = folders.write('m/1', {});
  mkdirSync(folder, { recursive: true });
  saveModel(g.build(), join(folder, 'model.onnx'), { externalData: true });
  expect(await problemOf({ 'model.onnx.data': LFS_POINTER })).toContain('model.onnx.data is a Git LFS pointer');
});

test.each(['../secret.bin', '/etc/passwd', 'a/../../secret.bin'])('external data at %s is refused', async (path) => {
  folders.write('.', { 'secret.bin': 'x' });
  folders.write('m', { 'model.onnx': onnx([tensor('x', [1])], [tensor('y', [1])], path) });
  const { models, problems } = await openRepository(folders.root);
  expect(models).toEqual([]);
  expect(problems[0]!.message).toMatch(/outside|missing/);
});

test('external data beside the graph is accepted, missing data is reported', async () => {
  const graph = onnx([tensor('x', [1])], [tensor('y', [1])], 'model.onnx_data');
  folders.write('whole', { 'onnx/model.onnx': graph, 'onnx/model.onnx_data': 'x' });
  folders.write('partial', { 'onnx/model.onnx': graph });
  const { models, problems } = await openRepository(folders.root);
  expect(models.map(({ name }) => name)).toEqual(['whole']);
  expect(problems[0]!.message).toContain('"model.onnx_data", which is missing');
});

const TEXT = {
  'tokenizer.json': { added_tokens: [] },
  'tokenizer_config.json': { model_max_length: 1e30 },
};
const logits = (shape: TensorSpec['shape']) => onnx(TEXT_INPUTS, [tensor('logits', shape)]);

test.each([
  ['text-classification', 'BertForSequenceClassification', logits(['batch', 3])],
  ['rerank', 'BertForSequenceClassification', logits(['batch', 1])],
  ['token-classification', 'BertForTokenClassification', logits(['batch', 'sequence', 5])],
  ['feature-extraction', 'BertModel', onnx(TEXT_INPUTS, [tensor('last_hidden_state', ['batch', 'sequence', 8])])],
  ['feature-extraction', '', onnx(TEXT_INPUTS, [tensor('sentence_embedding', ['batch', 8])])],
  ['text-classification', '', logits(['batch', 4])],
])('%s is recognised from %j and the graph', async (task, architecture, graph) => {
  folders.write('m', { ...TEXT, 'config.json': { architectures: [architecture] }, 'model.onnx': graph });
  const { models, problems } = await openRepository(folders.root);
  expect(problems).toEqual([]);
  expect(models[0]!.task).toBe(task);
});

/** The one model of a repository whose only folder is `m`. */
async function modelOf(files: Readonly<Record<string, unknown>>) {
  folders.write('m/1', { ...TEXT, ...files });
  const { problems, models } = await openRepository(folders.root);
  expect(problems).toEqual([]);
  return models[0]!;
}
const vectors = (...outputs: TensorSpec[]) => ({
  'config.json': { architectures: ['BertModel'], hidden_size: 8 },
  'model.onnx': onnx(TEXT_INPUTS, outputs),
});

test.each([
  [
    'dense_vecs',
    [tensor('dense_vecs', ['b', 8]), tensor('sparse_vecs', ['b', 's', 1]), tensor('colbert_vecs', ['b', 's', 8])],
  ],
  ['text_embeds', [tensor('text_embeds', ['b', 8]), tensor('last_hidden_state', ['b', 's', 16])]],
  ['sentence_embedding', [tensor('token_embeddings', ['b', 's', 16]), tensor('sentence_embedding', ['b', 8])]],
] as const)('the embedding is %s, whatever stands beside it', async (name, outputs) => {
  const model = await modelOf(vectors(...outputs));
  expect(embeddingOutputs(model)).toMatchObject({ pooled: { name }, pooledFirst: true });
  expect(model.dimensions).toBe(8);
});

test('where two outputs could be the embedding, shoal.json decides', async () => {
  const files = vectors(tensor('first', ['b', 's', 8]), tensor('second', ['b', 's', 8]));
  expect(await problemOf({ ...TEXT, ...files })).toContain('first or second: name it as "output" in shoal.json');
  expect(await problemOf({ ...TEXT, ...files, 'shoal.json': { output: 'third' } })).toContain('no output third');
  const model = await modelOf({ ...files, 'shoal.json': { output: 'second' } });
  expect(embeddingOutputs(model)).toMatchObject({ tokens: { name: 'second' }, pooled: null });
});

test.each<[string, string, object, object]>([
  ['rerank', 'sigmoid', {}, {}],
  ['text-classification', 'none', { problem_type: 'regression' }, {}],
  ['text-classification', 'sigmoid', {}, { task: 'text-classification' }],
])('one logit without labels is %s by %s', async (task, scoreFunction, config, shoal) => {
  const architectures = ['BertForSequenceClassification'];
  const model = await modelOf({
    'config.json': { architectures, ...config },
    'shoal.json': shoal,
    'model.onnx': logits(['batch', 1]),
  });
  expect(model).toMatchObject({ task, text: { scoreFunction } });
});

test('labels may be a list', async () => {
  const model = await modelOf({ 'config.json': { id2label: ['no', 'yes'] }, 'model.onnx': logits(['batch', 2]) });
  expect(model.labels).toEqual(['no', 'yes']);
});

test('names that JSON or this format cannot carry are told', async () => {
  const graph = onnx([tensor('__proto__', ['batch', 4])], [tensor('y', ['batch', 2])]);
  expect(await problemOf({ 'model.onnx': graph })).toContain('rename it');
  const tensorflow = onnx([tensor('input_ids:0', ['batch', 's'])], [tensor('y', ['batch', 2])]);
  expect(await problemOf({ ...TEXT, 'model.onnx': tensorflow })).toContain('input_ids:0');
});

test('what cannot be served says what to do', async () => {
  const answering = { ...TEXT, 'config.json': { architectures: ['BertForQuestionAnswering'] } };
  expect(await problemOf({ ...answering, 'model.onnx': logits(['batch', 'sequence', 99]) })).toContain('set "task"');
  const past = onnx([...TEXT_INPUTS, tensor('past_key_values.0.key', [1])], [tensor('logits', ['batch', 2])]);
  expect(await problemOf({ ...TEXT, 'config.json': {}, 'model.onnx': past })).toContain('past_key_values.0.key');
  const names = { id2label: { 0: 'a', 1: 'b' } };
  expect(await problemOf({ ...TEXT, 'config.json': names, 'model.onnx': logits(['batch', 3]) })).toBe(
    'model.onnx: config.json names 2 labels, the graph gives 3',
  );
});

test('a model that generates text has its context, its end tokens and its template', async () => {
  const config = { architectures: ['LlamaForCausalLM'] };
  const named = { bos_token: '<s>', eos_token: { content: '</s>' }, unk_token: null };
  folders.write('plain', { ...TEXT, 'shoal.json': { task: 'text-generation' }, 'model.onnx': decoder({}) });
  folders.write('whole', {
    ...{ ...TEXT, 'config.json': config, 'model.onnx': decoder({}), 'shoal.json': { limits: { max_tokens: 12 } } },
    'tokenizer_config.json': { ...named, chat_template: [{ name: 'default', template: 'from json' }] },
    'generation_config.json': { eos_token_id: [7, 8], do_sample: true, temperature: 0.6, top_p: 0.9, top_k: null },
  });
  folders.write('own', {
    ...{ ...TEXT, 'config.json': config, 'model.onnx': decoder({}), 'chat_template.jinja': 'a file' },
    'generation_config.json': { temperature: 0.6, repetition_penalty: 1.1 },
  });
  const { models, problems } = await openRepository(folders.root);
  expect(problems).toEqual([]);
  const [own, plain, whole] = models;
  expect(own!.generator?.chatTemplate).toBe('a file');
  expect(plain).toMatchObject({ task: 'text-generation', maxTokens: 16, text: null, queue: 'plain.1.fp32.0' });
  const greedy = { temperature: 0, top_p: 1, top_k: 0, min_p: 0, repetition_penalty: 1 };
  const nothing = { chatTemplate: null, specialTokens: {}, sampling: greedy };
  expect(plain!.generator).toEqual({ maxContext: 16, vocabulary: 99, eosTokenIds: [3], ...nothing });
  expect(whole!.generator).toMatchObject({ maxContext: 12, eosTokenIds: [7, 8], chatTemplate: 'from json' });
  expect(whole!.generator?.sampling).toEqual({ ...greedy, temperature: 0.6, top_p: 0.9, top_k: 50 });
  expect(own!.generator?.sampling).toEqual({ ...greedy, repetition_penalty: 1.1 });
  expect(whole!.generator?.specialTokens).toEqual({ bos_token: '<s>', eos_token: '</s>' });
});

test.each([
  ['import its checkpoint', { ...TEXT, 'model.onnx': logits(['n', 99]) }],
  ['needs a tokenizer.json', { 'model.onnx': decoder({}) }],
  ['17 is more than the 16', { ...TEXT, 'model.onnx': decoder({}), 'shoal.json': { limits: { max_tokens: 17 } } }],
  ['import it again', { ...TEXT, 'model.onnx': decoder({ graph: 1 }) }],
  [
    'generation_config.json: eos',
    { ...TEXT, 'model.onnx': decoder({}), 'generation_config.json': { eos_token_id: '' } },
  ],
])('a folder that should generate text and cannot says %s', async (message, files) => {
  expect(await problemOf({ 'config.json': { architectures: ['LlamaForCausalLM'] }, ...files })).toContain(message);
});

test('RoBERTa counts positions from its padding id, so it has that many fewer', async () => {
  const config = { model_type: 'roberta', max_position_embeddings: 514, pad_token_id: 1 };
  folders.write('m', { ...TEXT, 'config.json': config, 'model.onnx': logits(['batch', 2]) });
  const { models } = await openRepository(folders.root);
  expect(models[0]).toMatchObject({ maxTokens: 512, text: { padId: 1, firstPosition: 2 } });
});

test('rows can be joined only where all tensors share a first dimension that the caller chooses', async () => {
  const graphs = {
    free: onnx([tensor('x', ['batch', 4]), tensor('z', ['batch'])], [tensor('y', ['rows', 2])]),
    fixed: onnx([tensor('x', [1, 4])], [tensor('y', ['batch', 2])]),
    scalar: onnx([tensor('x', ['batch', 4])], [tensor('y', [])]),
    apart: onnx([tensor('x', ['a', 4]), tensor('z', ['b'])], [tensor('y', ['a', 2])]),
  };
  for (const [name, graph] of Object.entries(graphs)) folders.write(name, { 'model.onnx': graph });
  const { models } = await openRepository(folders.root);
  const batchable = Object.fromEntries(models.map((model) => [model.name, model.batchable]));
  expect(batchable).toEqual({ free: true, fixed: false, scalar: false, apart: false });
});

test('sentence-transformers files set pooling, length and normalising; what only a graph can do is refused', async () => {
  const graph = onnx(TEXT_INPUTS, [tensor('last_hidden_state', ['batch', 'sequence', 8])]);
  const modules = [
    { path: '', type: 'sentence_transformers.models.Transformer' },
    { path: '1_Pooling', type: 'sentence_transformers.models.Pooling' },
  ];
  const files = {
    ...TEXT,
    'config.json': { architectures: ['BertModel'], max_position_embeddings: 512 },
    'model.onnx': graph,
    'modules.json': modules,
    'sentence_bert_config.json': { max_seq_length: 256 },
    '1_Pooling/config.json': { pooling_mode_cls_token: true, pooling_mode_mean_tokens: false },
  };
  folders.write('m', files);
  const { models } = await openRepository(folders.root);
  expect(models[0]).toMatchObject({ maxTokens: 256, text: { pooling: ['cls'], normalize: false } });
  folders.remove();
  folders = modelFolders();
  const dense = [...modules, { path: '2_Dense', type: 'sentence_transformers.models.Dense' }];
  expect(await problemOf({ ...files, 'modules.json': dense })).toContain('Dense of modules.json');
});
