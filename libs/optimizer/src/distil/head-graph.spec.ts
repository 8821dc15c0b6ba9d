import type { TextItem } from '@shoal/contracts';
import { createModelFace, findJoining, type Model } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compare } from '../evaluate/compare.js';
import { scoresOf } from '../linear/soft-regression.js';
import { contextOf } from '../testing/context.js';
import { largestDifference, ModelCopy, pass } from '../testing/model-copy.js';
import type { Examples } from '../types.js';
import { cascadeGraph } from './cascade-graph.js';
import { confidenceOf } from './confidence.js';
import type { Head } from './fit-head.js';
import { headGraph } from './head-graph.js';
import { BUCKETS, FIRST, featureCount, featureRows } from './text-features.js';

const VOCABULARY = 6000;
const CLASSES = 25;
const TEXTS = [
  [2, 500, 700, 3],
  [2, 17, 5999, 17, 42, 3],
  [2, 3],
  [2, ...Array.from({ length: 40 }, (_, n) => 90 * n), 3],
];

let runtime: Runtime;
let copy: ModelCopy;
let original: Model;
beforeAll(async () => {
  runtime = await openRuntime();
  copy = new ModelCopy('wordnet-topic');
  original = await copy.model();
});
afterAll(() => copy.remove());

/** Weights that are whole numbers of steps, so that nothing is rounded. */
function madeUp(buckets: number, first: number): Head {
  const space = { vocabulary: VOCABULARY, buckets, first };
  const weights = Float64Array.from({ length: featureCount(space) * CLASSES }, (_, n) =>
    n % CLASSES === 0 ? 127 / 64 : Math.round(127 * Math.sin(n * n)) / 64,
  );
  return {
    weights,
    bias: Float64Array.from({ length: CLASSES }, (_, c) => Math.cos(c)),
    space,
    ridge: 1,
    trust: 0,
    steps: 0,
  };
}

function logitsOf(head: Head, texts: readonly (readonly number[])[]): Float64Array {
  const items = texts.map((ids) => ({ kind: 'text', ids: Uint32Array.from(ids) }) as const);
  return scoresOf(featureRows(items, head.space), head);
}

async function joiningOf(variant: string) {
  const session = await runtime.createSession(copy.pathOf(variant));
  const options = { runtimeVersion: runtime.version, device: 'cpu', deviceOptions: {}, now: () => performance.now() };
  const { joining } = await findJoining(await copy.model(variant), session, options);
  await session.release();
  return joining;
}

describe.each([
  [0, 0],
  [BUCKETS, 0],
  [BUCKETS, FIRST],
  [0, FIRST],
])('a head with %s buckets of pairs that sees the first %s tokens once more', (buckets, first) => {
  test('scores in the graph as in the fit, alone and padded beside others', async () => {
    const head = madeUp(buckets, first);
    const expected = logitsOf(head, TEXTS);
    for (const padId of [0, 77]) {
      const { logits } = await pass(runtime, headGraph(original, head), TEXTS, { padId });
      expect(largestDifference(logits!, expected)).toBeLessThan(1e-5);
    }
    const { logits } = await pass(runtime, headGraph(original, head), [TEXTS[1]!]);
    expect(largestDifference(logits!, expected.subarray(CLASSES, 2 * CLASSES))).toBeLessThan(1e-5);
  });
});

test('a head is served with the labels of its folder, and its rows are proved to be independent', async () => {
  copy.save('static', headGraph(original, madeUp(BUCKETS, FIRST)));
  const model = await copy.model('static');
  expect([model.task, model.labels, model.maxTokens]).toEqual([original.task, original.labels, original.maxTokens]);
  expect(await joiningOf('static')).toEqual({ rows: 'any-length', reason: null });
});

describe('a cascade', () => {
  const head = madeUp(BUCKETS, FIRST);
  const own = logitsOf(head, TEXTS);
  const confidencesBy = (link: 'softmax' | 'sigmoid') =>
    TEXTS.map((_, n) => confidenceOf(link, own.slice(n * CLASSES, (n + 1) * CLASSES)));
  const confidences = confidencesBy('softmax');
  const cascade = (threshold: number, link: 'softmax' | 'sigmoid' = 'softmax') =>
    cascadeGraph(original, copy.pathOf('fp32'), head, link, threshold);

  test.each(['softmax', 'sigmoid'] as const)(
    'answers with the teacher where the student is unsure by %s, and with the student elsewhere',
    async (link) => {
      const confidences = confidencesBy(link);
      const theirs = (await pass(runtime, copy.pathOf('fp32'), TEXTS)).logits!;
      const sorted = [...confidences].sort((a, b) => a - b);
      for (let asked = 0; asked <= TEXTS.length; asked++) {
        const threshold = asked === 0 ? 0 : asked === TEXTS.length ? 1.01 : (sorted[asked - 1]! + sorted[asked]!) / 2;
        const { logits, escalated } = await pass(runtime, cascade(threshold, link), TEXTS);
        expect(escalated).toEqual(confidences.map((confidence) => Number(confidence < threshold)));
        expect(escalated!.reduce((sum, value) => sum + value, 0)).toBe(asked);
        for (const n of TEXTS.keys()) {
          const row = logits!.slice(n * CLASSES, (n + 1) * CLASSES);
          const expected = (escalated![n] === 1 ? theirs : own).slice(n * CLASSES, (n + 1) * CLASSES);
          expect(largestDifference(row, expected)).toBeLessThan(2e-5);
        }
      }
    },
  );

  test('gives a text alone what it gives it beside others', async () => {
    const graph = cascade([...confidences].sort((a, b) => a - b)[1]! + 1e-4);
    const together = (await pass(runtime, graph, TEXTS)).logits!;
    for (const [n, text] of TEXTS.entries()) {
      const alone = (await pass(runtime, graph, [text])).logits!;
      expect(largestDifference(alone, together.slice(n * CLASSES, (n + 1) * CLASSES))).toBeLessThan(2e-5);
    }
  });

  test('asks the teacher for the same texts in all company: what the student says of one is the same to the last bit', async () => {
    const graph = cascade(0);
    // Of very different lengths, and so padded differently.
    const texts = Array.from({ length: 60 }, (_, n) => [
      ...[2, ...Array.from({ length: (n * 17) % 59 }, (_, k) => (31 * n * n + 17 * k * k + k) % VOCABULARY), 3],
    ]);
    const together = (await pass(runtime, graph, texts)).logits!;
    for (const size of [1, 3]) {
      for (let first = 0; first < 30; first += size) {
        const some = texts.slice(first, first + size);
        const { logits } = await pass(runtime, graph, some);
        expect(logits).toEqual(together.slice(first * CLASSES, (first + size) * CLASSES));
      }
    }
  });

  test('at a threshold of 0 runs nothing of the teacher, whatever its weights are', async () => {
    const graph = cascade(0);
    for (const [name, tensor] of graph.graph.initializers) {
      if (!name.startsWith('teacher/') || tensor.type !== 'float32') continue;
      const broken = new Float32Array(tensor.data.byteLength / 4).fill(Number.NaN);
      const bytes = new Uint8Array(broken.buffer);
      graph.graph.initializers.set(name, {
        ...tensor,
        data: { byteLength: bytes.length, bytes: () => bytes, chunks: () => [bytes] },
      });
    }
    const { logits } = await pass(runtime, graph, TEXTS);
    expect(largestDifference(logits!, own)).toBeLessThan(1e-5);
  });

  test('is served as a variant whose rows are proved to be independent', async () => {
    copy.save('cascade10', cascade(1.01));
    const model = await copy.model('cascade10');
    expect(model.outputs.map(({ name }) => name)).toEqual(['logits', 'escalated']);
    expect(model.labels).toEqual(original.labels);
    expect(await joiningOf('cascade10')).toEqual({ rows: 'any-length', reason: null });
  });

  test('that does not ask its teacher for any text that is tried is not proved, and runs each alone', async () => {
    copy.save('cascade5', cascade(0));
    expect(await joiningOf('cascade5')).toEqual({ rows: 'alone', reason: expect.stringContaining('the teacher') });
  });

  test('is measured with the share of texts that its teacher answers; one that does not tell it, without', async () => {
    const sorted = [...confidences].sort((a, b) => a - b);
    const graph = cascade((sorted[0]! + sorted[1]!) / 2);
    copy.save('cascade20', graph);
    graph.graph.outputs = graph.graph.outputs.filter(({ name }) => name === 'logits');
    copy.save('before', graph);
    const model = await copy.model('cascade20');
    const texts = Array.from({ length: 100 }, (_, n) => `a small knob of wood ${n} ${'that sings '.repeat(n % 7)}`);
    const examples: Examples = { kind: 'text', labelled: false, items: texts.map((text) => ({ kind: 'text', text })) };
    const face = await createModelFace(model);
    const { items } = await face.encode({ input: texts });
    const ids = items.map((item) => [...(item as TextItem).ids]);
    const { escalated = [] } = await pass(runtime, copy.pathOf('cascade20'), ids);
    const share = escalated.reduce((sum, value) => sum + value, 0) / texts.length;
    const measured = await compare(original, model, examples, { speeds: false }, contextOf(runtime));
    expect(measured.escalated).toBe(share);
    expect(measured.figures['share that the teacher answers']).toEqual({ original: null, candidate: share });
    const told = await compare(original, await copy.model('before'), examples, { speeds: false }, contextOf(runtime));
    expect(told).not.toHaveProperty('escalated');
    expect(told.loss).toEqual(measured.loss);
  });
});
