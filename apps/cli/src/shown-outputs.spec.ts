/** What callers are shown is read back as what was computed. */
import type { WireOutput } from '@shoal/contracts';
import { createPresenter, type Model } from '@shoal/models';
import { expect, test } from 'vitest';
import { outputsIn } from './shown-outputs.js';

const LABELS = ['a', 'b', 'c'];

function modelOf(task: Model['task'], labels: readonly string[] = LABELS): Model {
  return { name: 'm', task, labels, maxTokens: 16, generator: null } as Partial<Model> as Model;
}

async function shown(model: Model, outputs: readonly WireOutput[], parameters = {}): Promise<unknown> {
  const { present } = await createPresenter(model);
  const groups = model.task === 'rerank' ? { groups: outputs.map(() => 1) } : {};
  const { output } = present(
    { parameters, array: true, ...groups },
    outputs.map((one) => ({ output: one })),
  );
  return JSON.parse(JSON.stringify(output));
}

const floats = (count: number) => Float32Array.from({ length: count }, (_, n) => Math.sin(n + 1) / (n + 1) ** 3);

test.each<[Model['task'], readonly WireOutput[], object?]>([
  [
    'text-classification',
    [
      { kind: 'scores', indices: Uint32Array.of(2, 0, 1), scores: Float32Array.of(0.7, 0.29999, 0.00001) },
      { kind: 'scores', indices: Uint32Array.of(0, 1, 2), scores: Float32Array.of(0.4, 0.3, 0.3) },
    ],
  ],
  ['feature-extraction', [{ kind: 'vector', values: floats(5), dims: [5] }]],
  [
    'feature-extraction',
    [
      { kind: 'vector', values: floats(6), dims: [2, 3] },
      { kind: 'vector', values: floats(3), dims: [1, 3] },
    ],
    { pooling: 'none' },
  ],
  [
    'rerank',
    [
      { kind: 'score', score: Math.fround(-3.3) },
      { kind: 'score', score: Math.fround(1e-9) },
    ],
  ],
])('of %s', async (task, outputs, parameters) => {
  const model = modelOf(task);
  expect(outputsIn(await shown(model, outputs, parameters), model)).toEqual(outputs);
});

test.each<[string, Model, unknown]>([
  ['has a class d', modelOf('text-classification'), [[{ label: 'd', score: 1 }]]],
  ['tells 1 classes apart, and the one here has 3', modelOf('text-classification'), [[{ label: 'a', score: 1 }]]],
  ['answers otherwise', modelOf('text-classification'), [LABELS.map((label) => ({ label }))]],
  ['answers otherwise', modelOf('feature-extraction'), [null]],
  ['answers otherwise', modelOf('feature-extraction'), { a: 1 }],
  ['answers otherwise', modelOf('rerank'), [[]]],
])('what other models answer is not believed: it %s', (message, model, output) => {
  expect(() => outputsIn(output, model)).toThrow(message);
});
