import { ShoalError, type WireOutput } from '@shoal/contracts';
import { expect, test } from 'vitest';
import { loadRunner } from '../runner.js';
import { ANY_LENGTH, fakeModel, fakeSession, floats, SAME_SHAPE, textRow } from '../testing/fake-model.js';
import type { Model, Row } from '../types.js';

async function outputs(model: Model, rows: readonly Row[], answer: ReturnType<typeof floats>, name = 'logits') {
  return await loadRunner(
    model,
    fakeSession(() => ({ [name]: answer })),
    ANY_LENGTH,
  ).run(rows);
}

test('each row gets the scores and the number of classes that its own request asked for', async () => {
  const model = fakeModel({ labels: ['a', 'b', 'c'] });
  const rows = [
    textRow([1, 2], { function_to_apply: 'none', top_k: 3 }),
    textRow([1], { function_to_apply: 'softmax', top_k: 1 }),
    textRow([1], { function_to_apply: 'sigmoid', top_k: 2 }),
  ];
  const logits = [1, 3, 2, 0, 0, Math.log(2), 0, -100, 100];
  expect(await outputs(model, rows, floats([3, 3], logits))).toEqual([
    { kind: 'scores', indices: Uint32Array.of(1, 2, 0), scores: Float32Array.of(3, 2, 1) },
    { kind: 'scores', indices: Uint32Array.of(2), scores: Float32Array.of(0.5) },
    { kind: 'scores', indices: Uint32Array.of(2, 0), scores: Float32Array.of(1, 0.5) },
  ]);
});

test('NaN fails its own row; a shape that is not the batch fails the pass', async () => {
  const model = fakeModel({ labels: ['a'] });
  const rows = [1, 2].map((id) => textRow([id], { function_to_apply: 'none', top_k: 1 }));
  const [good, bad] = await outputs(model, rows, floats([2, 1], [1, Number.NaN]));
  expect(good).toMatchObject({ kind: 'scores' });
  expect(bad).toBeInstanceOf(ShoalError);
  await expect(outputs(model, rows, floats([1, 2], [1, 2]))).rejects.toThrow('shape [1, 2] for 2 rows');
});

const embedding = fakeModel({
  task: 'feature-extraction',
  dimensions: 2,
  outputs: [{ name: 'last_hidden_state', type: 'float32', shape: ['batch', 'sequence', 2] }],
});

/** Two rows of three positions and two values; the second row has two tokens and one of padding. */
const hidden = floats([2, 3, 2], [3, 4, 0, 0, 0, 8, 1, 2, 5, 6, 99, 99]);

test.each([
  ['mean', [1, 4], [3, 4]],
  ['cls', [3, 4], [1, 2]],
  ['last', [0, 8], [5, 6]],
])('%s pooling leaves padding out', async (pooling, first, second) => {
  const parameters = { pooling, normalize: false, dimensions: null };
  const rows = [textRow([1, 2, 3], parameters), textRow([1, 2], parameters)];
  const vectors = await outputs(embedding, rows, hidden, 'last_hidden_state');
  expect(vectors).toEqual(
    [first, second].map((values) => ({ kind: 'vector', values: Float32Array.from(values), dims: [2] })),
  );
});

test('rows of one batch differ in pooling; dimensions are cut before scaling to unit length', async () => {
  const rows = [
    textRow([1, 2, 3], { pooling: 'cls', normalize: true, dimensions: 1 }),
    textRow([1, 2], { pooling: 'none', normalize: false, dimensions: null }),
  ];
  const [cut, all] = await outputs(embedding, rows, hidden, 'last_hidden_state');
  expect(cut).toEqual({ kind: 'vector', values: Float32Array.of(1), dims: [1] });
  expect(all).toEqual({ kind: 'vector', values: Float32Array.of(1, 2, 5, 6), dims: [2, 2] });
});

test.each(['cls', 'last', 'mean'] as const)(
  'a text without tokens has no vector by %s pooling, and none of its neighbour',
  async (pooling) => {
    const parameters = { pooling, normalize: false, dimensions: null };
    const [own, none] = await outputs(
      embedding,
      [textRow([1, 2, 3], parameters), textRow([], parameters)],
      hidden,
      'last_hidden_state',
    );
    expect(own).toMatchObject({ kind: 'vector' });
    expect(none).toBeInstanceOf(Error);
  },
);

test("a graph's own sentence embedding is taken as it is, float16 included", async () => {
  const model = fakeModel({
    task: 'feature-extraction',
    outputs: [{ name: 'sentence_embedding', type: 'float16', shape: ['batch', 2] }],
  });
  const rows = [textRow([1], { pooling: 'graph', normalize: false, dimensions: null })];
  const answer = { type: 'float16' as const, dims: [1, 2], data: Uint16Array.of(0x3c00, 0xc000) };
  const run = loadRunner(
    model,
    fakeSession(() => ({ sentence_embedding: answer })),
  ).run(rows);
  expect(await run).toEqual([{ kind: 'vector', values: Float32Array.of(1, -2), dims: [2] }]);
});

test('rerank scores a pair by one logit and brings its document along when asked', async () => {
  const model = fakeModel({ task: 'rerank' });
  const rows = [
    textRow([1], { function_to_apply: 'none', return_documents: false }, { text: 'hidden' }),
    textRow([1], { function_to_apply: 'sigmoid', return_documents: true }, { text: 'shown' }),
  ];
  expect(await outputs(model, rows, floats([2, 1], [-2.5, 0]))).toEqual([
    { kind: 'score', score: -2.5 },
    { kind: 'score', score: 0.5, text: 'shown' },
  ]);
});

test('token classification leaves special tokens and padding out', async () => {
  const model = fakeModel({ task: 'token-classification', labels: ['O', 'B-PER'] });
  const parameters = { aggregation_strategy: 'simple', ignore_labels: ['O'] };
  const item = { text: 'Ada ran', offsets: Uint32Array.of(0, 0, 0, 3, 4, 7, 0, 0), words: Int32Array.of(-1, 0, 1, -1) };
  const rows = [textRow([1, 2, 3, 4], parameters, item)];
  // Special tokens and padding would all be persons.
  const [output] = await outputs(model, rows, floats([1, 5, 2], [0, 9, 0, 9, 9, 0, 0, 9, 0, 9]));
  const { entities } = output as Extract<WireOutput, { kind: 'entities' }>;
  expect(entities).toMatchObject([{ label: 1, word: 'Ada', start: 0, end: 3 }]);
});

test('texts share a pass as has been proved: in any lengths, in equal ones, or not at all', async () => {
  const model = fakeModel({ labels: ['a'] });
  const session = fakeSession(() => ({ logits: floats([1, 1], [1]) }));
  const rows = [textRow([1, 2], { function_to_apply: 'none', top_k: 1 }), textRow([3], { function_to_apply: 'none' })];
  const keys = (joining: typeof ANY_LENGTH) =>
    new Set(rows.map(({ item }) => loadRunner(model, session, joining).groupKey(item)));
  expect(keys(ANY_LENGTH).size).toBe(1);
  expect(keys(SAME_SHAPE).size).toBe(2);
  expect(await loadRunner(model, session).run(rows)).toHaveLength(2);
  expect(session.feeds.map((feeds) => feeds.input_ids!.dims)).toEqual([
    [1, 2],
    [1, 1],
  ]);
});
