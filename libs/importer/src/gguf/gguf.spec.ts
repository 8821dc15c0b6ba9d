/**
 * GGUF files mean what ggml, PyTorch and the original tokenizers say. The fixtures are tiny random models in every form, written
 * by the Python package gguf 0.19; `expected.json` has the SHA-256 of each tensor after its dequantize, and PyTorch's answers.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decoderInfoOf } from '@shoal/models';
import { serialiseModel } from '@shoal/onnx';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import tokenizers from 'tokenizers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildModel } from '../architectures/table.js';
import { precisionOf } from '../precision/dtype.js';
import {
  type Case,
  difference,
  generate,
  type Loaded,
  logitsOf,
  NEW_TOKENS,
  pathOf,
  readJson,
} from '../testing/decoders.js';
import { openGguf, unpackGguf } from './open.js';
import { readGguf } from './read.js';

const FOLDER = 'test/fixtures/gguf';
const NAMES = readdirSync(pathOf(FOLDER)).filter((name) => !name.endsWith('.json'));
/** Of the largest logits, some 10: float32 sums in another order. */
const TOLERANCE = 5e-5;

interface Expected {
  readonly tokens: string;
  readonly tensors: Readonly<Record<string, { readonly sha256: string; readonly shape: readonly number[] }>>;
  readonly cases: readonly Case[];
}

const fileOf = (name: string) => pathOf(`${FOLDER}/${name}/${name}.gguf`);
const expectedOf = (name: string) => readJson<Expected>(`${FOLDER}/${name}/expected.json`);

let runtime: Runtime;
const root = mkdtempSync(join(tmpdir(), 'shoal-gguf-spec-'));
beforeAll(async () => {
  runtime = await openRuntime();
});
afterAll(() => rmSync(root, { recursive: true }));

const unpacked = (name: string) => {
  const folder = mkdtempSync(join(root, `${name}-`));
  unpackGguf(fileOf(name), folder);
  return (file: string): unknown => JSON.parse(readFileSync(join(folder, file), 'utf8'));
};

async function load(name: string, dtype: string): Promise<Loaded> {
  const config = unpacked(name)('config.json');
  const model = buildModel({ config, checkpoint: openGguf(fileOf(name)), precision: precisionOf(dtype, 'decoder') });
  return { session: await runtime.createSession(serialiseModel(model)), info: decoderInfoOf(model)! };
}

test.each(['llama-q4_0', 'llama-q3_k'])(
  '%s in its own bits, activations as floats, has the logits of PyTorch',
  async (name) => {
    const { cases } = expectedOf(name);
    const loaded = await load(name, 'kept-l0');
    const logits = await logitsOf(
      loaded,
      cases.map(({ input_ids: ids }) => ({ ids, rotaryLength: ids.length })),
      64,
    );
    for (const [n, { last_logits }] of cases.entries()) {
      expect(difference(logits[n]!, last_logits)).toBeLessThan(TOLERANCE);
    }
    await loaded.session.release();
  },
);

describe.each(NAMES)('%s', (name) => {
  const { tensors, cases, tokens } = expectedOf(name);

  test('every tensor stands for the numbers that ggml makes of it, to the bit', () => {
    const found = [...readGguf(fileOf(name)).tensors].map(([tensor, { type, shape, data }]) => {
      const sha256 = createHash('sha256')
        .update(new Uint8Array(type.dequantise!(data.bytes()).buffer))
        .digest('hex');
      return [tensor, { type: type.name, shape, sha256 }];
    });
    expect(Object.fromEntries(found)).toEqual(tensors);
  });

  test('logits and greedy continuations are those of PyTorch', async () => {
    const loaded = await load(name, 'fp32');
    const rows = cases.map(({ input_ids: ids }) => ({ ids, rotaryLength: ids.length }));
    const logits = await logitsOf(loaded, rows, 64);
    const largest = cases.map(({ last_logits }, n) => difference(logits[n]!, last_logits));
    for (const value of largest) expect(value).toBeLessThan(TOLERANCE);
    const prompts = cases.map(({ input_ids }) => input_ids);
    const greedy = await generate(loaded, prompts, { maxTokens: NEW_TOKENS, stopIds: [], chunk: 64 });
    expect(greedy).toEqual(cases.map(({ greedy_ids }) => greedy_ids));
    await loaded.session.release();
  });

  test('texts are tokenised as by the original tokenizer', async () => {
    const tokenizer = tokenizers.Tokenizer.fromString(JSON.stringify(unpacked(name)('tokenizer.json')));
    const { lines } = readJson<{ lines: { text: string; ids: number[] }[] }>(`${FOLDER}/${tokens.replace('../', '')}`);
    const found = await Promise.all(lines.map(async ({ text }) => [...(await tokenizer.encode(text)).getIds()]));
    expect(found).toEqual(lines.map(({ ids }) => ids));
  });
});
