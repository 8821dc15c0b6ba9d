/** What `importFolder` refuses, in words that say what to do instead; nothing is left of it. */
import { cpSync, linkSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadModel, saveModel } from '@shoal/onnx';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FIXTURES, ImportBench } from '../support/importing.js';

let runtime: Runtime;
let bench: ImportBench;
beforeAll(async () => {
  runtime = await openRuntime();
});
beforeEach(() => {
  bench = new ImportBench(runtime);
});
afterEach(() => bench.remove());

describe('what cannot be imported is refused in words', () => {
  test.each([
    ['an empty GGUF file', { 'model.Q4_K_M.gguf': '' }, 'model.Q4_K_M.gguf is no GGUF file'],
    ['a pickle', { 'pytorch_model.bin': '', 'config.json': '{}' }, 'pytorch_model.bin, a Python pickle'],
    ['a LoRA adapter', { 'adapter_config.json': '{}', 'adapter_model.safetensors': '' }, 'a LoRA adapter'],
    ['a Keras file', { 'model.keras': '' }, 'model.keras is a Keras file'],
    ['a SavedModel', { 'saved_model.pb': '' }, 'tf2onnx'],
    ['nothing', { 'README.md': '' }, 'has neither model.safetensors'],
    ['a model that has versions', { '1/onnx/model.onnx': '', '2/notes': '' }, 'has a folder with one: give that, '],
    ['several nameless graphs', { 'a.onnx': '', 'b.onnx': '' }, 'several ONNX files (a.onnx, b.onnx)'],
    [
      'half a decoder',
      { 'decoder_model_merged.onnx': '' },
      'decoder_model_merged.onnx: parts of a model, which are not taken from ONNX',
    ],
    ['no protobuf', { 'model.onnx': 'hello' }, 'is not a usable ONNX file'],
  ])('%s', async (_, files, message) => {
    expect(await bench.refusal(bench.folder(files))).toContain(message);
  });

  test.each([
    ...['model.safetensors', 'model.safetensors.index.json', 'model.gguf', 'model.onnx', 'config.json'],
    ...['tokenizer.json', 'tokenizer_config.json'],
  ])('%s as a clone without git-lfs has it', async (name) => {
    const folder = /gguf|onnx/.test(name) ? bench.folder() : bench.checkpoint('bert');
    if (name === 'model.safetensors.index.json') rmSync(join(folder, 'model.safetensors'));
    writeFileSync(join(folder, name), POINTER);
    expect(await bench.refusal(folder)).toMatch(
      `${name} is a Git LFS pointer, not the file: fetch it with "git lfs pull"`,
    );
  });

  test('external data as a clone without git-lfs has it', async () => {
    const folder = bench.folder();
    cpSync(join(FIXTURES, 'exports/optimum-llama'), folder, { recursive: true });
    const graph = loadModel(join(folder, 'model.onnx'));
    saveModel(graph, join(folder, 'model.onnx'), { externalData: true });
    writeFileSync(join(folder, 'model.onnx.data'), POINTER);
    expect(await bench.refusal(folder)).toContain('model.onnx.data is a Git LFS pointer');
  });

  test('a checkpoint without config.json, or of an architecture that is not known', async () => {
    const folder = bench.checkpoint('bert');
    writeFileSync(join(folder, 'config.json'), '{"architectures":["T5ForConditionalGeneration"]}');
    expect(await bench.refusal(folder)).toMatch(/"T5ForConditionalGeneration" is not supported\. .*Llama/);
    rmSync(join(folder, 'config.json'));
    expect(await bench.refusal(folder)).toContain('config.json is missing');
  });

  test('a checkpoint with an old tokenizer only', async () => {
    const folder = bench.checkpoint('bert');
    rmSync(join(folder, 'tokenizer.json'));
    writeFileSync(join(folder, 'vocab.txt'), '[PAD]');
    expect(await bench.refusal(folder)).toMatch(
      /tokenizer.json is missing; vocab.txt alone is not enough.*save_pretrained/,
    );
  });

  test.each([
    ['cut off', (json: string) => json.slice(0, -100), 'tokenizer.json is not valid JSON'],
    ['of no tokenizer', () => '{"added_tokens": []}', 'tokenizer.json is not a tokenizer'],
  ])('a tokenizer.json that is %s, before the graph is written', async (_, spoil, message) => {
    const folder = bench.checkpoint('llama');
    const path = join(folder, 'tokenizer.json');
    writeFileSync(path, spoil(readFileSync(path, 'utf8')));
    expect(await bench.refusal(folder)).toContain(message);
    expect(bench.said.filter((line) => line.includes('onnx/'))).toEqual([]);
  });

  test('a checkpoint with tensors that would be lost', async () => {
    const folder = bench.checkpoint('bert');
    const config = { ...readConfig(folder), num_hidden_layers: 1 };
    writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
    expect(await bench.refusal(folder)).toContain('encoder.layer.1.attention');
  });

  test('a tokenizer or a chat template that would keep or end the process that runs it', async () => {
    const folder = bench.checkpoint('wordnet-lm-draft');
    const file = join(folder, 'tokenizer.json');
    const tokenizer = JSON.parse(readFileSync(file, 'utf8')) as object;
    const bad = { type: 'Split', pattern: { Regex: '(a|a|a|a|aa)+$' }, behavior: 'Isolated', invert: false };
    writeFileSync(file, JSON.stringify({ ...tokenizer, pre_tokenizer: bad }));
    expect(await bench.refusal(folder)).toContain('tokenizer.json: pre_tokenizer.pattern.Regex repeats what can match');
    writeFileSync(file, JSON.stringify(tokenizer));
    const loop = '{% for i in range(1000) %}'.repeat(6) + '{% endfor %}'.repeat(6);
    writeFileSync(join(folder, 'chat_template.jinja'), loop);
    expect(await bench.refusal(folder)).toContain(
      "The model's chat template did not end (of a conversation of one word)",
    );
  });

  test('links, wherever they lead', async () => {
    const folder = bench.checkpoint('bert');
    const outside = join(bench.root, 'outside.json');
    cpSync(join(folder, 'tokenizer.json'), outside);
    rmSync(join(folder, 'tokenizer.json'));
    symlinkSync(outside, join(folder, 'tokenizer.json'));
    expect(await bench.refusal(folder)).toContain('tokenizer.json is a symbolic link');
    rmSync(join(folder, 'tokenizer.json'));
    linkSync(outside, join(folder, 'tokenizer.json'));
    expect(await bench.refusal(folder)).toContain('has other names (hard links)');
    symlinkSync(folder, join(bench.root, 'link'));
    expect(await bench.refusal(join(bench.root, 'link'))).toContain(
      'is a symbolic link: give the folder or the file that it leads to',
    );
  });

  test('names and dtypes that are none, and a folder that holds a model itself', async () => {
    const folder = bench.checkpoint('bert');
    expect(await bench.refusal(folder, { name: '../outside' })).toContain('"../outside" is not a model name');
    expect(await bench.refusal(folder, { dtypes: ['int3'] })).toContain('--dtype "int3" is not one of: fp32');
    expect(await bench.refusal(join(folder, 'model.safetensors'))).toContain('is not a folder');
    expect(await bench.refusal(join(folder, 'nowhere'))).toContain('there is no folder and no file');
    mkdirSync(join(bench.models, 'bert', 'onnx'), { recursive: true });
    expect(await bench.refusal(folder)).toContain('holds a model itself');
  });

  test('a place where no folder can be, before anything is made', async () => {
    const folder = bench.checkpoint('bert');
    const file = join(folder, 'config.json');
    expect(await bench.refusal(folder, { to: file })).toBe(`${file} is no folder that can be written to (EEXIST)`);
    const inside = join(file, 'models');
    expect(await bench.refusal(folder, { to: inside })).toBe(`${inside} is no folder that can be written to (ENOTDIR)`);
    mkdirSync(bench.models);
    writeFileSync(join(bench.models, 'bert'), '');
    expect(await bench.refusal(folder)).toBe(`${join(bench.models, 'bert')} is no folder`);
    expect(bench.said).toEqual([]);
  });
});

const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 12345\n`;

function readConfig(folder: string): object {
  return JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as object;
}
