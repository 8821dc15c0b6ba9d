/** What is taught is what the original answers: its own graph has nothing to learn of it, and the same graph with other weights has. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { type Loss, seededRandom, Trainer, textProbes, trainingGraph } from '@shoal/training';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Change, definitions, subjectOf } from '../prune/prune.testing.js';
import { openOrThrow } from '../prune/subject.js';
import { contextOf } from '../testing/context.js';
import { inThirds } from '../testing/examples.js';
import { ModelCopy } from '../testing/model-copy.js';
import type { Example, Subject } from '../types.js';
import { encoderLesson } from './encoder-lesson.js';
import type { Lesson } from './types.js';

let runtime: Runtime;
let root: string;
beforeAll(async () => {
  runtime = await openRuntime();
  root = mkdtempSync(join(tmpdir(), 'shoal-lesson-'));
});
afterAll(() => rmSync(root, { recursive: true }));

const TEXTS = 180;

/** Queries of three words with the definitions that they begin. */
const PAIRS: readonly Example[] = definitions()
  .slice(0, TEXTS)
  .flatMap((item) =>
    item.kind === 'text'
      ? [{ kind: 'pair', query: item.text.split(' ').slice(0, 3).join(' '), document: item.text }]
      : [],
  );

/** The first class is likeliest everywhere, and all others are as likely as each other: then the likeliest tells all. */
const oneAgainstAll: Change = (name, values, shape) => {
  if (name === 'classifier.bias') values.fill(0).fill(3, 0, 1);
  if (name !== 'classifier.weight') return;
  for (let row = 2; row < shape[0]!; row++) values.copyWithin(row * shape[1]!, shape[1]!, 2 * shape[1]!);
};

/** Length of the gradient over texts of several lengths, by all weights: as the original has them, and as they are with noise. */
async function gradients(subject: Subject, lesson: Lesson): Promise<{ own: number; other: number }> {
  const { served } = openOrThrow(subject);
  const graph = lesson.behind?.(served.graph) ?? served.graph;
  const trainable = [...served.weights.constants.keys()];
  const made = await trainingGraph(runtime, graph, { trainable, probes: textProbes(graph), losses: lesson.losses });
  const options = { steps: 1, learningRate: 1e-3, examples: lesson.examples, batchSize: 9, seed: 1 };
  const trainer = await Trainer.open(runtime, made, options);
  try {
    const batch = await lesson.batch([4, 8, 15, 16, 23, 42, 1, 2, 3]);
    const own = (await trainer.gradient([batch])).norm;
    const random = seededRandom(1);
    for (const { data } of trainer.weights.values()) {
      for (let n = 0; n < data.length; n++) data[n] = data[n]! * (0.5 + random());
    }
    return { own, other: (await trainer.gradient([batch])).norm };
  } finally {
    await trainer.close();
  }
}

test.each<[fixture: string, kind: Loss['kind'], Change | undefined, readonly Example[] | undefined]>([
  ['bert', 'cosine', undefined, undefined],
  ['modernbert', 'cosine', undefined, undefined],
  ['bert-classify', 'kl', undefined, undefined],
  ['ce-three-sigmoid', 'binary-cross-entropy', undefined, undefined],
  ['roberta-rerank', 'mean-square', undefined, PAIRS],
  ['bert-tokens', 'kl', oneAgainstAll, undefined],
])('the original of %s has nothing to learn from its own answers', async (fixture, kind, change, examples) => {
  const texts = await subjectOf(root, fixture, change, TEXTS);
  const subject = examples === undefined ? texts : { ...texts, data: inThirds(examples, false) };
  const lesson = await encoderLesson(subject, contextOf(runtime));
  expect(lesson.losses.map((loss) => loss.kind)).toEqual([kind]);
  const { own, other } = await gradients(subject, lesson);
  expect(other).toBeGreaterThan(0);
  expect(own).toBeLessThan(0.01 * other);
});

test('nor does a model whose graph pools, or leaves it to others', async () => {
  const copy = new ModelCopy('wordnet-embed');
  try {
    const original = await copy.model();
    const subject = { original, path: copy.pathOf('fp32'), data: inThirds(definitions().slice(0, TEXTS), false) };
    const { own, other } = await gradients(subject, await encoderLesson(subject, contextOf(runtime)));
    expect(own).toBeLessThan(0.01 * other);
  } finally {
    copy.remove();
  }
});

test('labels are taught beside the answers, by their share, alone, or not at all', async () => {
  const copy = new ModelCopy('wordnet-topic');
  try {
    const original = await copy.model();
    const items = definitions().slice(0, TEXTS);
    const labelled = { original, path: copy.pathOf('fp32'), data: inThirds(items, true) };
    const context = contextOf(runtime);
    const both = await encoderLesson(labelled, context, 0.25);
    expect(both.losses).toMatchObject([
      { kind: 'kl', share: 0.25 },
      { kind: 'cross-entropy', share: 0.75 },
    ]);
    const { feeds } = await both.batch([0, 7]);
    const wanted = [0, 7].map((n) => labelled.data.calibration.items[n]);
    expect(Array.from(feeds.labels!.data as BigInt64Array, (label) => original.labels[Number(label)])).toEqual(
      wanted.map((item) => item?.kind === 'text' && item.label),
    );
    const alone = await encoderLesson(labelled, context, 0);
    expect(alone.losses.map(({ kind }) => kind)).toEqual(['cross-entropy']);
    expect(Object.keys((await alone.batch([0])).feeds)).not.toContain('teacher');
    const bare = items.map((item) => (item.kind === 'text' ? { kind: item.kind, text: item.text } : item));
    const without = await encoderLesson({ ...labelled, data: inThirds(bare, false) }, context, 0.25);
    expect(without.losses.map(({ kind }) => kind)).toEqual(['kl']);
  } finally {
    copy.remove();
  }
});

test('too few texts are told in one line', async () => {
  const subject = await subjectOf(root, 'bert', undefined, 30);
  await expect(encoderLesson(subject, contextOf(runtime))).rejects.toThrow(
    'examples.jsonl: 10 different texts are too few to learn from: give at least 50',
  );
});
