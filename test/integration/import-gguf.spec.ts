/** `importFolder` with GGUF files: they become models that are served as any other, and nothing else is left of them. */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRepository } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { FIXTURES, ImportBench } from '../support/importing.js';

let runtime: Runtime;
let bench: ImportBench;
beforeAll(async () => {
  runtime = await openRuntime();
});
beforeEach(() => {
  bench = new ImportBench(runtime);
});
afterEach(() => {
  bench.remove();
  expect(readdirSync(tmpdir()).filter((name) => name.startsWith(`shoal-import-${process.pid}-`))).toEqual([]);
});

/** A copy of a fixture's file, under a name as hubs have it. */
function fileOf(fixture: string): string {
  const folder = bench.folder();
  const path = join(folder, 'Tiny_Model-Q8_0.gguf');
  cpSync(join(FIXTURES, 'gguf', fixture, `${fixture}.gguf`), path);
  return path;
}

test('a file becomes a model of its name, in its own bits, with tokenizer, chat template and a record of the file', async () => {
  const target = await bench.take(fileOf('llama-q8_0'));
  expect(target).toBe(join(bench.models, 'tiny_model-q8_0', '1'));
  const { models, problems } = await openRepository(bench.models);
  expect(problems).toEqual([]);
  expect(models.map(({ name, task, variant }) => [name, task, variant])).toEqual([
    ['tiny_model-q8_0', 'text-generation', 'kept'],
  ]);
  const { generator } = models[0]!;
  expect(generator?.chatTemplate).toContain('<|start_header_id|>');
  expect(generator?.specialTokens).toEqual({
    ...{ bos_token: '<|begin_of_text|>', eos_token: '<|eot_id|>', pad_token: '<|end_of_text|>' },
  });
  expect(generator?.eosTokenIds).toEqual([374, 371]);
  const record = JSON.parse(readFileSync(join(target, 'source.json'), 'utf8')) as { sha256: object; weights: string[] };
  expect(Object.keys(record.sha256)).toEqual(['Tiny_Model-Q8_0.gguf']);
  expect(record.weights).toEqual(['GGUF Q8_0: 16 matrices']);
  expect(bench.said.join('\n')).toMatch(/GGUF Q8_0: 16 matrices, kept bit for bit/);
  expect(readdirSync(bench.models)).toEqual(['tiny_model-q8_0']);
});

test('metadata that do not fit are named, as metadata', async () => {
  const path = fileOf('llama-q8_0');
  const bytes = readFileSync(path);
  const key = 'llama.block_count';
  // Behind the key are 4 bytes of type.
  bytes.writeUInt32LE(2 ** 31, bytes.indexOf(key) + key.length + 4);
  writeFileSync(path, bytes);
  expect(await bench.refusal(path)).toBe('the metadata, as config.json: num_hidden_layers: must be at most 1024');
});

test('a folder with a file becomes a model of its name, in several precisions, with its licence', async () => {
  const folder = join(fileOf('gemma3-q8_0'), '..');
  writeFileSync(join(folder, 'LICENSE'), 'terms');
  const target = await bench.take(folder, { dtypes: ['fp32', 'kept', 'int4'] });
  expect(target).toBe(join(bench.models, 'some-model', '1'));
  const { models, problems } = await openRepository(bench.models);
  expect(problems).toEqual([]);
  expect(models.map(({ variant }) => variant)).toEqual(['fp32', 'int4', 'kept']);
  expect(readFileSync(join(target, 'LICENSE'), 'utf8')).toBe('terms');
  expect(bench.said.join('\n')).toMatch(/kept: cosine to fp32 0\.99/);
});

test('what cannot be imported leaves nothing', async () => {
  const path = fileOf('llama-q8_0');
  const whole = readFileSync(path);
  writeFileSync(path, whole.subarray(0, whole.length - 1));
  expect(await bench.refusal(path)).toContain('is cut off');
  writeFileSync(path, 'GGUF');
  expect(await bench.refusal(path)).toContain('is cut off: its header goes on beyond its 4 bytes');
  mkdirSync(join(bench.root, 'folder.gguf'));
  expect(await bench.refusal(join(bench.root, 'folder.gguf'))).toContain('has neither model.safetensors');
});
