/** What language models are taught: what parts them from the original as they are served, each text by itself, however texts are put together. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { Trainer, textProbes, trainingGraph, weightNames } from '@shoal/training';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compare } from '../evaluate/compare.js';
import { keepLayers, type Parts } from '../prune/edits.js';
import { subjectOf } from '../prune/prune.testing.js';
import { openOrThrow, write } from '../prune/subject.js';
import { contextOf } from '../testing/context.js';
import type { Subject } from '../types.js';
import { decoderLesson, LONGEST } from './decoder-lesson.js';
import type { Lesson } from './types.js';

let runtime: Runtime;
let root: string;
beforeAll(async () => {
  runtime = await openRuntime();
  root = mkdtempSync(join(tmpdir(), 'shoal-decoder-lesson-'));
});
afterAll(() => rmSync(root, { recursive: true }));

/** Texts that are one piece each: of no more letters than a piece has tokens. */
async function shortTexts(name: string): Promise<Subject> {
  const subject = await subjectOf(root, name, undefined, 30);
  const { calibration } = subject.data;
  const items = calibration.items.filter((item) => item.kind === 'text' && item.text.length <= LONGEST);
  expect(items.length).toBeGreaterThan(3);
  return { ...subject, data: { ...subject.data, calibration: { ...calibration, items } } };
}

/** A trainer that begins with `parts`. */
async function openTrainer(parts: Parts, lesson: Lesson, accumulate = 1): Promise<Trainer> {
  const graph = lesson.graphOf!(parts);
  const training = await trainingGraph(runtime, graph, {
    ...{ trainable: weightNames(graph), probes: textProbes(graph), losses: lesson.losses },
  });
  const options = { steps: 1, learningRate: 1e-3, examples: lesson.examples, batchSize: 1, seed: 1, accumulate };
  return await Trainer.open(runtime, training, options);
}

/** Layers that see a window, logits that are bounded, a head that is the table of words, and none of that. */
const FIXTURES = ['llama', 'llama-tied', 'mistral', 'gemma2', 'qwen3', 'smollm3'];

test.each(FIXTURES)('what parts %s from itself without its last layer is what evaluating both finds', async (name) => {
  const subject = await shortTexts(name);
  const { served, anatomy } = openOrThrow(subject);
  const fewer = keepLayers(
    served,
    anatomy,
    Array.from({ length: anatomy.layers - 1 }, (_, n) => n),
  );
  const pruned = join(root, `${name}.onnx`);
  write(subject, fewer, pruned);
  const other = { ...subject.original, variant: 'pruned', variants: { ...subject.original.variants, pruned } };
  const lesson = await decoderLesson(subject, contextOf(runtime));
  const all = await lesson.batch(Array.from({ length: lesson.examples }, (_, n) => n));
  const [trainer, same] = [await openTrainer(fewer, lesson), await openTrainer(served, lesson)];
  const { loss } = await trainer.gradient([all]);
  const { figures } = await compare(
    ...([subject.original, other, subject.data.calibration, { speeds: false }, contextOf(runtime)] as const),
  );
  const found = figures['KL divergence, mean']!.candidate;
  expect(found).toBeGreaterThan(1e-3);
  expect(Math.abs(loss - found)).toBeLessThan(1e-3 * found);
  expect((await same.gradient([all])).loss).toBeLessThan(1e-5);
  await Promise.all([trainer.close(), same.close(), lesson.close!()]);
});

test('it is the original that teaches, also where training begins from what another method has made', async () => {
  const subject = await subjectOf(root, 'llama', undefined, 30);
  const { served, anatomy } = openOrThrow(subject);
  const path = join(root, 'made.onnx');
  write(subject, keepLayers(served, anatomy, [0]), path);
  const [lesson, behind] = await Promise.all(
    [subject, { ...subject, path }].map((own) => decoderLesson(own, contextOf(runtime))),
  );
  const [wanted, found] = await Promise.all([lesson!.batch([0, 1]), behind!.batch([0, 1])]);
  expect(found.feeds.teacher!.data).toEqual(wanted.feeds.teacher!.data);
  await Promise.all([lesson!.close!(), behind!.close!()]);
});

test('padding changes nothing, and the last token of a text, which nothing follows, weighs nothing', async () => {
  const subject = await subjectOf(root, 'llama', undefined, 30);
  const lesson = await decoderLesson(subject, contextOf(runtime));
  const examples = [0, 1, 2, 3, 4, 5];
  const together = await lesson.batch(examples);
  const apart = await Promise.all(examples.map((n) => lesson.batch([n])));
  const lengths = apart.map(({ feeds }) => feeds.input_ids!.dims[1]!);
  expect(new Set(lengths).size).toBeGreaterThan(1);
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const rows = together.rows as Float32Array;
  expect(rows).toHaveLength(tokens);
  expect(rows.filter((weight) => weight === 0)).toHaveLength(examples.length);
  const { served, anatomy } = openOrThrow(subject);
  const fewer = keepLayers(served, anatomy, [0]);
  const [whole, parts] = [await openTrainer(fewer, lesson), await openTrainer(fewer, lesson, examples.length)];
  const a = await whole.gradient([together]);
  const b = await parts.gradient(apart);
  expect(a.loss).toBeCloseTo(b.loss, 5);
  for (const [name, { data }] of a.gradients) {
    const other = b.gradients.get(name)!.data;
    const largest = Math.max(...data.map(Math.abs));
    const worst = data.reduce((most, value, n) => Math.max(most, Math.abs(value - other[n]!)), 0);
    expect(worst, name).toBeLessThan(1e-4 * largest + 1e-8);
  }
  await Promise.all([whole.close(), parts.close(), lesson.close!()]);
});

test('a model whose frequencies depend on the length of a text cannot be read as a whole, and that is said', async () => {
  const subject = await subjectOf(root, 'llama-dynamic', undefined, 12);
  await expect(decoderLesson(subject, contextOf(runtime))).rejects.toThrow(/frequencies that change with the length/);
});
