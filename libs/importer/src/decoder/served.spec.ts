/** Decoders that make embeddings or rank documents, by the whole path of a job once they are imported. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WireOutput } from '@shoal/contracts';
import { createModelFace, loadRunner, type Model, openRepository, sessionModel } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildVariant } from '../import/build.js';
import { inspect } from '../import/inspect.js';
import { keptFiles } from '../import/kept-files.js';
import { choose } from '../import/plan.js';
import { purposeOf } from '../import/purpose.js';
import { copyFiles } from '../import/source-files.js';
import { checkpoint, difference, pathOf, readJson } from '../testing/decoders.js';

const root = mkdtempSync(join(tmpdir(), 'served-'));
afterAll(() => rmSync(root, { recursive: true }));

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

/** A fixture with a shoal.json beside it, as an import makes a model of it, and what people are told. */
async function imported(name: string, shoal: object = {}, as = name): Promise<{ said: string; model: Model }> {
  const [folder, models] = [join(root, as), join(root, `${as}-models`)];
  cpSync(pathOf(checkpoint(name)), folder, { recursive: true });
  writeFileSync(join(folder, 'shoal.json'), JSON.stringify(shoal));
  const inspected = inspect(folder);
  const { task } = choose(folder, inspected, []);
  const version = join(models, 'model', '1');
  mkdirSync(join(version, 'onnx'), { recursive: true });
  await copyFiles(folder, version, keptFiles(folder));
  buildVariant({ folder, exported: undefined, dtype: 'fp32', path: join(version, 'onnx', 'model.onnx') });
  writeFileSync(join(version, 'shoal.json'), JSON.stringify({ task, ...inspected.shoal }));
  const { models: read, problems } = await openRepository(models);
  expect(problems).toEqual([]);
  return { said: inspected.notes.join('\n'), model: read[0]! };
}

async function answer(model: Model, input: unknown, parameters: object = {}) {
  const runner = loadRunner(model, await runtime.createSession(sessionModel(model.variants.fp32!)), {
    rows: 'any-length',
    reason: null,
  });
  const face = await createModelFace(model);
  const encoded = await face.encode({ input, parameters });
  const outputs = await runner.run(encoded.items.map((item) => ({ item, parameters: encoded.parameters })));
  await runner.close();
  const ids = encoded.items.map((item) => (item.kind === 'tensors' ? [] : [...item.ids]));
  return { ids, outputs: outputs.map(orThrow) };
}

function orThrow(output: WireOutput | Error): WireOutput {
  if (output instanceof Error) throw output;
  return output;
}

const scoresOf = (outputs: readonly WireOutput[]) =>
  outputs.map((output) => (output.kind === 'score' ? output.score : null));

test('a folder of sentence-transformers around a language model makes embeddings', async () => {
  const { model } = await imported('qwen3-embedding');
  expect(model.task).toBe('feature-extraction');
  const cases = readJson<{
    cases: readonly {
      readonly text: string;
      readonly prompt_name: string | null;
      readonly input_ids: readonly number[];
      readonly values: readonly number[];
    }[];
  }>(checkpoint('qwen3-embedding', 'expected.json')).cases.filter(({ prompt_name }) => prompt_name === null);
  const texts = cases.map(({ text }) => text);
  const { ids, outputs } = await answer(model, texts, { truncate: true });
  expect(ids).toEqual(cases.map(({ input_ids }) => input_ids));
  for (const [n, output] of outputs.entries()) {
    expect(difference(output.kind === 'vector' ? output.values : [], cases[n]!.values)).toBeLessThan(1e-5);
  }
});

describe('a language model that judges by yes and no', () => {
  interface Case {
    readonly text: string;
    readonly text_pair: string;
    readonly input_ids: readonly number[];
    readonly score: number;
  }
  const { cases } = readJson<{ cases: readonly Case[] }>(checkpoint('qwen3-reranker', 'expected.json'));
  const pairs = cases.map(({ text, text_pair }) => ({ query: text, documents: [text_pair] }));

  test('ranks documents where shoal.json says so, asked as its authors ask it', async () => {
    const { model } = await imported('qwen3-reranker', { task: 'rerank' });
    const { ids, outputs } = await answer(model, pairs);
    expect(ids).toEqual(cases.map(({ input_ids }) => input_ids));
    // Written with six decimals.
    expect(
      difference(
        scoresOf(outputs) as number[],
        cases.map(({ score }) => score),
      ),
    ).toBeLessThan(2e-6);
  });

  test('keeps the end of what it is asked where a document is cut', async () => {
    const { model } = await imported('qwen3-reranker', { task: 'rerank', limits: { max_tokens: 300 } }, 'cut');
    const document = 'salt pepper butter '.repeat(200);
    const { ids } = await answer(model, { query: 'honey', documents: [document] }, { truncate: true });
    const whole = (await answer(model, { query: 'honey', documents: ['salt pepper butter'] })).ids[0]!;
    expect(ids[0]).toHaveLength(300);
    // Up to the document, and from the token behind it that ends the question.
    const end = whole.slice(whole.lastIndexOf(2));
    expect(ids[0]!.slice(0, 170)).toEqual(whole.slice(0, 170));
    expect(ids[0]!.slice(-end.length)).toEqual(end);
    await expect(answer(model, { query: 'honey', documents: [document] })).rejects.toThrow('truncate');
  });

  test('takes texts that look like places of the template as they are', async () => {
    const pair_template = '{query} asks {document} or';
    const { model } = await imported('qwen3-reranker', { task: 'rerank', pair_template }, 'places');
    const face = await createModelFace(model);
    const input = [{ query: 'a {document} b', documents: ['{query} c'] }];
    const plain = { query: 'x', documents: ['y'] };
    const lengths = async (one: unknown) =>
      (await face.encode({ input: one })).items.map((item) => (item.kind === 'text' ? item.ids.length : 0));
    const [asked] = await lengths(input);
    expect(asked).toBeGreaterThan((await lengths(plain))[0]! + 'document'.length);
  });

  test('is imported as one that writes texts otherwise, and that is said where its name is that of a reranker', async () => {
    const { said, model } = await imported('qwen3-reranker', {}, 'some-reranker');
    expect(model.task).toBe('text-generation');
    expect(said).toContain('to rank documents, put {"task": "rerank"} into a shoal.json');
  });

  test('names its tokens in a module of sentence-transformers, where it has one', async () => {
    const folder = join(root, 'with-module');
    cpSync(pathOf(checkpoint('qwen3-reranker')), folder, { recursive: true });
    writeFileSync(
      join(folder, 'modules.json'),
      JSON.stringify([
        { idx: 0, name: '0', path: '', type: 'sentence_transformers.base.modules.transformer.Transformer' },
        {
          idx: 1,
          name: '1',
          path: '1_LogitScore',
          type: 'sentence_transformers.cross_encoder.modules.logit_score.LogitScore',
        },
      ]),
    );
    mkdirSync(join(folder, '1_LogitScore'));
    writeFileSync(join(folder, '1_LogitScore', 'config.json'), '{"true_token_id": 3, "false_token_id": 4}');
    expect(purposeOf(folder)).toMatchObject({ task: 'rerank', judge: { yes: 3, no: 4 } });
    writeFileSync(join(folder, '1_LogitScore', 'config.json'), '{"true_token_id": "yes"}');
    expect(() => purposeOf(folder)).toThrow('1_LogitScore/config.json: true_token_id');
  });
});

test('of a model for texts and images the part for texts is taken, and that is said', async () => {
  const { said, model } = await imported('gemma3-conditional');
  expect(model.task).toBe('text-generation');
  expect(said).toContain('images cannot be given to it');
});
