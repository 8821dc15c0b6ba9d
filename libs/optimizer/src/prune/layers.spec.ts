/** Layers are chosen by what their loss costs on texts, and those before a gap learn to do what went. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openRepository } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Subject } from '../types.js';
import { lossOf } from './choice.js';
import { keepLayers } from './edits.js';
import { layers } from './layers.js';
import { type Change, contextOf, dataOf, definitions, subjectOf } from './prune.testing.js';
import { openOrThrow, write } from './subject.js';

let runtime: Runtime;
let root: string;
beforeAll(async () => {
  runtime = await openRuntime();
  root = mkdtempSync(join(tmpdir(), 'shoal-layers-'));
});
afterAll(() => rmSync(root, { recursive: true }));

/** A layer of a decoder that adds nothing. */
const idle =
  (layer: number): Change =>
  (name, values) => {
    if (new RegExp(`layers\\.${layer}\\.(self_attn\\.o_proj|mlp\\.down_proj)\\.`).test(name)) values.fill(0);
  };

test('a layer that does nothing is found, and goes without a loss', async () => {
  const subject = await subjectOf(root, 'gemma2', idle(2));
  const path = join(root, 'layers.onnx');
  const candidate = { method: 'layers', variant: 'layers3', settings: { layers: 3 }, seconds: 1 };
  const made = await layers.make(candidate, subject, path, contextOf(runtime));
  expect(made.method).toBe('layers 0 1 3');
  expect(made.notes.join()).toMatch(/left out: 2 of 4 layers.*normalised before it is added/);
  expect(Math.abs(await lossOf(subject, path, contextOf(runtime)))).toBeLessThan(1e-4);
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
  return { original: model!, path: model!.variants.fp32!, data: dataOf(definitions(), true) };
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
  const [after, before] = [await lossOf(subject, path, context), await lossOf(subject, cut, context)];
  expect(after).toBeLessThanOrEqual(before);
  expect(after).toBeLessThan(0.35);
});
