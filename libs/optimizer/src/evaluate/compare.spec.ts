/** Bundled models beside themselves and beside copies that were damaged on purpose, by the path that jobs take. */
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Model, openModel } from '@shoal/models';
import { dataOf, float16ToFloat32, float32ToFloat16, loadModel, saveModel } from '@shoal/onnx';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { seededRandom } from '@shoal/training';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { judge } from '../gate/judge.js';
import type { Context, Example, Examples } from '../types.js';
import { compare } from './compare.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));

let folder: string;
let runtime: Runtime;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-compare-'));
  runtime = await openRuntime();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function bundled(name: string): Promise<Model> {
  const [model] = await openModel(join(ROOT, 'models', name));
  return model!;
}

/** A copy with noise added to its weights, of `size` times the root of each tensor's mean square at most. */
async function damaged(name: string, size: number): Promise<Model> {
  const copy = join(folder, `${name}-${size}`);
  cpSync(join(ROOT, 'models', name), copy, { recursive: true });
  const [model] = await openModel(copy);
  const path = model!.variants[model!.variant]!;
  const { graph, ...rest } = loadModel(path);
  const random = seededRandom(5);
  for (const [tensor, { type, dims, data }] of graph.initializers) {
    if (dims.length === 0 || (type !== 'float32' && type !== 'float16')) continue;
    const { buffer } = Uint8Array.from(data.bytes());
    const values = type === 'float32' ? new Float32Array(buffer) : float16ToFloat32(new Uint16Array(buffer));
    const spread = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    const noisy = values.map((value) => value + 2 * size * spread * (random() - 0.5));
    const stored = type === 'float32' ? noisy : Uint16Array.from(noisy, float32ToFloat16);
    graph.initializers.set(tensor, { type, dims, data: dataOf(stored) });
  }
  saveModel({ graph, ...rest }, path);
  return (await openModel(copy))[0]!;
}

function contextOf(): Context & { readonly shares: number[] } {
  const shares: number[] = [];
  return {
    // Twenty times as fast, so that timings are short: what they come to is nothing here.
    ...{ runtime, now: () => 20 * performance.now(), random: seededRandom(1), signal: new AbortController().signal },
    ...{ say: () => {}, onProgress: (share: number) => void shares.push(share), shares },
  };
}

function linesOf(name: string, most: number): readonly Record<string, string>[] {
  const lines = readFileSync(join(ROOT, 'test/fixtures', name, 'eval.jsonl'), 'utf8')
    .trim()
    .split('\n');
  return lines.slice(0, most).map((line) => JSON.parse(line) as Record<string, string>);
}

const examplesOf = (items: readonly Example[], labelled = false): Examples => ({
  kind: items[0]!.kind,
  items,
  labelled,
});

describe('a classifier', () => {
  const labelled = examplesOf(
    linesOf('wordnet-topic', 300).map(({ text = '', label = '' }) => ({ kind: 'text', text, label })),
    true,
  );

  test('beside itself loses nothing, is not called worse, and is not sure to be without loss', async () => {
    const model = await bundled('wordnet-topic');
    const context = contextOf();
    const found = await compare(model, model, labelled, { most: 100 }, context);
    expect(found.loss).toEqual({ metric: 'accuracy', mean: 0, bound: expect.closeTo(0.02996, 4), texts: 100 });
    expect(found.figures.agreement).toEqual({ original: null, candidate: 1 });
    expect(found.figures.accuracy!.original).toBeGreaterThan(0.65);
    expect(found.speeds.map(({ batch }) => batch)).toEqual([1, 8, 32]);
    for (const { low, ratio, high, tokens } of found.speeds) {
      expect(low).toBeLessThanOrEqual(ratio);
      expect(high).toBeGreaterThanOrEqual(ratio);
      expect(tokens).toBeGreaterThan(3);
    }
    expect(judge(found, { loss: 0.01 }).kind).not.toBe('worse');
    expect(context.shares.at(-1)).toBe(1);
  });

  test('with weights full of noise is worse', async () => {
    const [model, broken] = [await bundled('wordnet-topic'), await damaged('wordnet-topic', 2)];
    const found = await compare(model, broken, labelled, { speeds: false }, contextOf());
    const { accuracy } = found.figures;
    expect(found.speeds).toEqual([]);
    expect(found.loss.mean).toBeCloseTo(accuracy!.original! - accuracy!.candidate, 10);
    expect(found.loss.mean).toBeGreaterThan(0.1);
    expect(judge(found, { loss: 0.05 }).kind).toBe('worse');
    const { loss } = await compare(model, broken, labelled, { speeds: false, metric: 'agreement' }, contextOf());
    expect(loss.mean).toBeGreaterThan(0.1);
  });

  test('is not measured by what tells nothing of it', async () => {
    const model = await bundled('wordnet-topic');
    const pairs = examplesOf([{ kind: 'pair', query: 'a', document: 'b' }]);
    const run = (examples: Examples, options = {}, other = model) =>
      compare(model, other, examples, options, contextOf());
    await expect(run(pairs)).rejects.toThrow('is not measured by such lines: give {"text", "label"} or {"text"}');
    await expect(run(labelled, { metric: 'f1' })).rejects.toThrow('by accuracy or agreement, not by f1');
    await expect(run(labelled, {}, await bundled('wordnet-embed'))).rejects.toThrow('serves text-classification');
    const stop = new AbortController();
    stop.abort(new Error('enough'));
    const stopped = { ...contextOf(), signal: stop.signal };
    await expect(compare(model, model, labelled, {}, stopped)).rejects.toThrow('enough');
  });
});

describe('an embedding model', () => {
  const pairs = examplesOf(
    linesOf('wordnet-embed', 200).map(({ query = '', document = '' }) => ({ kind: 'pair', query, document })),
  );

  test('with a little noise stays near, and by pairs, texts and rankings', async () => {
    const [model, noisy] = [await bundled('wordnet-embed'), await damaged('wordnet-embed', 0.1)];
    const run = (examples: Examples, options = {}) =>
      compare(model, noisy, examples, { speeds: false, ...options }, contextOf());
    const { loss, figures } = await run(pairs);
    expect(loss).toMatchObject({ metric: 'recall@10', texts: 200 });
    expect(figures['recall@10']!.original).toBeGreaterThan(0.4);
    expect(figures['cosine, mean']!.candidate).toBeGreaterThan(0.9);
    expect(figures['cosine, mean']!.candidate).toBeLessThan(1);
    expect(figures['likeness, rank correlation']!.candidate).toBeGreaterThan(0.7);
    const texts = examplesOf(linesOf('wordnet-topic', 50).map(({ text = '' }) => ({ kind: 'text', text })));
    const byCosine = await run(texts);
    expect(byCosine.loss.metric).toBe('cosine');
    expect(byCosine.loss.mean).toBeCloseTo(1 - byCosine.figures['cosine, mean']!.candidate, 10);
    expect(byCosine.loss.bound).toBeGreaterThan(byCosine.loss.mean);
    const rankings = examplesOf(
      linesOf('wordnet-embed', 30).map(({ query = '', document = '' }, n, all) => ({
        kind: 'ranking',
        query,
        documents: [
          { text: document, grade: 2 },
          { text: all[(n + 1) % all.length]!.document!, grade: 0 },
          { text: all[(n + 2) % all.length]!.document!, grade: 0 },
        ],
      })),
    );
    const ranked = await run(rankings);
    expect(ranked.loss).toMatchObject({ metric: 'ndcg@10', texts: 30 });
    expect(ranked.figures['nDCG@10']!.original).toBeGreaterThan(0.7);
  });
});

describe('a model that generates text', () => {
  const texts = examplesOf(
    linesOf('wordnet-topic', 30).map(({ text = '' }) => ({
      kind: 'text',
      text: `<|user|>\nWhich word means: ${text}?<|end|>\n<|assistant|>\n`,
    })),
  );

  test('beside itself predicts the same, at the shapes that it is served with', async () => {
    const model = await bundled('wordnet-lm-draft');
    const { loss, figures, speeds } = await compare(model, model, texts, {}, contextOf());
    expect(loss).toEqual({ metric: 'perplexity', mean: 0, bound: expect.closeTo(2.9957 / 30, 4), texts: 30 });
    expect(figures['KL divergence, mean']!.candidate).toBeLessThan(1e-6);
    expect(figures['same likeliest token']!.candidate).toBe(1);
    expect(figures.perplexity!.candidate).toBe(figures.perplexity!.original);
    expect(speeds.map(({ batch }) => batch)).toEqual([1, 8]);
  });

  test('beside its smaller student finds texts likelier, by tokens', async () => {
    const [model, draft] = [await bundled('wordnet-lm'), await bundled('wordnet-lm-draft')];
    const { loss, figures } = await compare(model, draft, texts, { speeds: false }, contextOf());
    const { perplexity } = figures;
    expect(loss.mean).toBeCloseTo(Math.log(perplexity!.candidate / perplexity!.original!), 10);
    expect(loss.mean).toBeCloseTo(figures['ln of the ratio of perplexities']!.candidate, 10);
    expect(loss.mean).toBeGreaterThan(0);
    expect(loss.bound).toBeGreaterThan(loss.mean);
    expect(figures['KL divergence, p99']!.candidate).toBeGreaterThan(figures['KL divergence, median']!.candidate);
    expect(figures['probability of the right token, mean change']!.candidate).toBeLessThan(0);
  });
});
