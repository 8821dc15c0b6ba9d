/** Layers are chosen by what their loss costs on texts, and those before a gap learn to do what went. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openRepository } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compare } from '../evaluate/compare.js';
import { contextOf } from '../testing/context.js';
import { inThirds } from '../testing/examples.js';
import type { Comparison, Subject } from '../types.js';
import { lossOf } from './choice.js';
import { keepLayers } from './edits.js';
import { layers } from './layers.js';
import { definitions, idle, subjectOf } from './prune.testing.js';
import { openOrThrow, write } from './subject.js';

let runtime: Runtime;
let root: string;
beforeAll(async () => {
  runtime = await openRuntime();
  root = mkdtempSync(join(tmpdir(), 'shoal-layers-'));
});
afterAll(() => rmSync(root, { recursive: true }));

test.each([0, 1])('a layer that does nothing is found, and goes without a loss: %i', async (layer) => {
  const subject = await subjectOf(root, 'bert', idle(layer), 30);
  const path = join(root, 'layers.onnx');
  const candidate = { method: 'layers', variant: 'layers1', settings: { layers: 1 }, seconds: 1 };
  const made = await layers.make(candidate, subject, path, contextOf(runtime));
  expect(made.method).toMatch(new RegExp(`^layers ${1 - layer}`));
  expect(made.notes[0]).toContain(`left out: ${layer} of 2 layers`);
  expect(await lossOf(subject, path, contextOf(runtime))).toBeLessThan(1e-4);
  // What is asked for is what layers are chosen by.
  await expect(lossOf({ ...subject, metric: 'f1' }, path, contextOf(runtime))).rejects.toThrow('by cosine, not by f1');
});

test('what layers add behind a norm is not refitted, and that is said', async () => {
  const subject = await subjectOf(root, 'gemma2', undefined, 30);
  const candidate = { method: 'layers', variant: 'layers3', settings: { layers: 3 }, seconds: 1 };
  const made = await layers.make(candidate, subject, join(root, 'gemma.onnx'), contextOf(runtime));
  expect(made.notes.join()).toMatch(/no layer was refitted: what its layers add is normalised before it is added/);
});

/** The bundled classifier, with the texts that it was not trained with. */
async function topics(): Promise<Subject> {
  const repository = join(root, 'repository');
  cpSync(
    fileURLToPath(new URL('../../../../models/wordnet-topic', import.meta.url)),
    join(repository, 'wordnet-topic'),
    {
      recursive: true,
    },
  );
  const { models } = await openRepository(repository);
  const [model] = models;
  const data = inThirds(definitions(), true);
  const choice = { ...data.choice, items: data.choice.items.slice(0, 100) };
  return { original: model!, path: model!.variants.fp32!, data: { ...data, choice } };
}

test('half of the layers of a classifier: refitting the last but one brings most of the accuracy back', async () => {
  const subject = await topics();
  const context = contextOf(runtime);
  expect(await layers.plan(subject)).toMatchObject([
    { variant: 'layers2' },
    { variant: 'layers3' },
    { variant: 'layers1' },
  ]);
  const path = join(root, 'half.onnx');
  const candidate = { method: 'layers', variant: 'layers2', settings: { layers: 2 }, seconds: 1 };
  const made = await layers.make(candidate, subject, path, context);
  const kept = made.method
    .replace(/^layers ([\d ]+).*$/, '$1')
    .split(' ')
    .map(Number);
  expect(kept).toHaveLength(2);
  const { served, anatomy } = openOrThrow(subject);
  const cut = join(root, 'cut.onnx');
  write(subject, keepLayers(served, anatomy, kept), cut);
  const verdictOf = async (pruned: string) => {
    const other = { ...subject.original, variant: 'pruned', variants: { pruned } };
    return await compare(subject.original, other, subject.data.verdict, { speeds: false }, context);
  };
  const [after, before] = [await verdictOf(path), await verdictOf(cut)];
  const flips = ({ figures }: Comparison) => 1 - figures.agreement!.candidate;
  expect(made.method).toMatch(/refitted/);
  expect(flips(after)).toBeLessThan(0.8 * flips(before));
  // Two to six points of 78.7 %, by which texts choose, without any training.
  expect(after.loss.mean).toBeLessThan(0.08);
});
