/** GGUF files that cannot be imported are refused by what they are, with what to do. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { inspect } from '../import/inspect.js';
import { openSource } from '../import/source.js';
import { pathOf } from '../testing/decoders.js';

const root = mkdtempSync(join(tmpdir(), 'shoal-gguf-refused-'));
const folder = join(root, 'model');
const path = join(folder, 'model.gguf');
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
});
afterAll(() => rmSync(root, { recursive: true }));

const fixture = (name: string) => pathOf(`test/fixtures/gguf/${name}/${name}.gguf`);

function refusal(of: string): string {
  try {
    openSource(of).close();
    return 'opened';
  } catch (error) {
    return (error as Error).message;
  }
}

/** Of a fixture in whose header one text becomes another of the same length. */
function replaced(name: string, from: string, to: string): string {
  const bytes = readFileSync(fixture(name));
  expect(to).toHaveLength(from.length);
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1)) bytes.write(to, at);
  writeFileSync(path, bytes);
  return refusal(path);
}

test('an architecture that is not known, with those that are', () => {
  expect(replaced('qwen2-q8_0', 'qwen2', 'bloom')).toMatch(
    /^general\.architecture in the metadata is "bloom", which is not supported; supported are gemma2, gemma3, .*smollm3$/,
  );
});

test('a way to cut words that is not known, or not named: a guess would not show', () => {
  expect(replaced('llama-q8_0', 'llama-bpe', 'llama-xyz')).toMatch(
    /^tokenizer\.ggml\.pre in the metadata is "llama-xyz", which is not supported: import the checkpoint/,
  );
  expect(replaced('llama-q8_0', 'tokenizer.ggml.pre', 'tokenizer.ggml.prx')).toContain(
    'tokenizer.ggml.pre in the metadata does not say how texts are cut into words: take a newer file',
  );
});

test('a tokenizer of another kind', () => {
  expect(replaced('llama-gpt2-f16', 'gpt2', 'rwkv')).toContain(
    'tokenizer.ggml.model in the metadata is "rwkv"; gpt2 and llama',
  );
});

test('metadata that is missing, by its key', () => {
  expect(replaced('llama-q8_0', 'llama.block_count', 'llama.blocks_coun')).toBe(
    'llama.block_count is missing in the metadata',
  );
});

test.each([
  ['block_count', 'logit_scale', 2],
  ['context_length', 'residual_scale', 160],
])('what would change answers and is not computed, by its key: in the place of %s, %s', (from, to, value) => {
  expect(replaced('llama-q8_0', `llama.${from}`, `llama.${to}`)).toBe(
    `llama.${to} in the metadata is ${value}, which is not supported here: import the checkpoint of the model`,
  );
});

test.each([
  [16, 'IQ2_XXS'],
  [18, 'IQ3_XXS'],
  [22, 'IQ2_S'],
  [19, 'IQ1_S'],
  [34, 'TQ1_0'],
  [39, 'MXFP4'],
])('a tensor of type %i by its name, %s, with the types to take instead', (id, name) => {
  const tensor = 'blk.0.attn_output.weight';
  const bytes = readFileSync(fixture('llama-iq4_nl'));
  // Behind its name: two dimensions with their number, then the type.
  bytes.writeUInt32LE(id, bytes.indexOf(tensor) + tensor.length + 4 + 16);
  writeFileSync(path, bytes);
  expect(refusal(path)).toMatch(
    new RegExp(
      `^the tensor ${tensor} is of type ${name}, which is not supported: take a file of the model in Q4_K_M, Q8_0`,
    ),
  );
});

test('a tensor that the architecture does not have', () => {
  expect(replaced('llama-q8_0', 'blk.1.ffn_gate.weight', 'blk.1.ffn_gatx.weight')).toBe(
    'the file has a tensor blk.1.ffn_gatx.weight, which this architecture does not use',
  );
});

test('several files in a folder: one has to be named; a part that reads images is none', () => {
  copyFileSync(fixture('llama-q4_0'), path);
  writeFileSync(join(folder, 'mmproj-model-f16.gguf'), '');
  expect(refusal(folder)).toBe('opened');
  copyFileSync(fixture('llama-q8_0'), join(folder, 'model-q8_0.gguf'));
  expect(refusal(folder)).toMatch(
    /has 2 GGUF files \(model-q8_0\.gguf, model\.gguf\): give the one to import, model\/model-q8_0\.gguf/,
  );
});

test('weights under another name beside a GGUF file do not hide it, but a checkpoint does', () => {
  copyFileSync(fixture('llama-q4_0'), path);
  writeFileSync(join(folder, 'consolidated.safetensors'), '');
  const taken = () => {
    const source = openSource(folder);
    source.close();
    return source.weightsFile;
  };
  expect(taken()).toBe(path);
  writeFileSync(join(folder, 'model.safetensors'), '');
  expect(taken()).toBeUndefined();
});

test('a folder that is called a reranker is told how to become one', () => {
  const own = join(folder, 'Tiny-Reranker.gguf');
  copyFileSync(fixture('qwen3-q8_0'), own);
  const source = openSource(own);
  try {
    expect(inspect(source.folder, own).notes.join()).toContain('to rank documents, put {"task": "rerank"}');
  } finally {
    source.close();
  }
});

test('a folder with a GGUF file is taken with its licence and its shoal.json', () => {
  copyFileSync(fixture('llama-q4_0'), path);
  writeFileSync(join(folder, 'LICENSE'), 'free');
  writeFileSync(join(folder, 'shoal.json'), '{"description":"small"}');
  const source = openSource(folder);
  try {
    expect(readFileSync(join(source.folder, 'LICENSE'), 'utf8')).toBe('free');
    expect(readFileSync(join(source.folder, 'shoal.json'), 'utf8')).toContain('small');
    expect(source.weightsFile).toBe(path);
    expect(source.beside).toEqual(['LICENSE', 'shoal.json']);
  } finally {
    source.close();
  }
});
