import { findJoining, type Model } from '@shoal/models';
import { openRuntime, type Runtime, type Tensor } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { largestDifference, ModelCopy, pass } from '../testing/model-copy.js';
import { refusal, staticGraph } from './static-graph.js';
import { integerTable } from './table-graph.js';

const VOCABULARY = 6000;
const WIDTH = 24;
const TABLE = Float32Array.from({ length: VOCABULARY * WIDTH }, (_, n) => Math.sin(n * n + 1) * (1 + (n % 7)));
const TEXTS = [
  [2, 500, 3],
  [2, 17, 5999, 17, 42, 3],
  [2, 3],
  [2, ...Array.from({ length: 40 }, (_, n) => 100 * n), 3],
];

let runtime: Runtime;
let copy: ModelCopy;
let original: Model;
beforeAll(async () => {
  runtime = await openRuntime();
  copy = new ModelCopy('wordnet-embed');
  original = await copy.model();
});
afterAll(() => copy.remove());

const COUNTS = Float32Array.from({ length: VOCABULARY }, (_, n) => 1 / (1 + (n % 5)));

/** The sum of rows of a table of 8-bit integers, divided by what they count. */
function expected(ids: readonly number[]): number[] {
  const { integers, scales } = integerTable(TABLE, WIDTH);
  const count = ids.reduce((sum, id) => sum + COUNTS[id]!, 0);
  return Array.from({ length: WIDTH }, (_, c) =>
    ids.reduce((sum, id) => sum + (integers[id * WIDTH + c]! * scales[id]!) / count, 0),
  );
}

function graphOf(model: Model) {
  return staticGraph(model, { table: TABLE, dimensions: WIDTH, counts: COUNTS });
}

describe('the static student as a graph', () => {
  test('gives each text the sum of its tokens’ rows, divided by what they count, alone and padded beside any others', async () => {
    const graph = graphOf(original);
    for (const padId of [0, 5999]) {
      const together = (await pass(runtime, graph, TEXTS, { padId })).sentence_embedding!;
      for (const [n, ids] of TEXTS.entries()) {
        const own = together.slice(n * WIDTH, (n + 1) * WIDTH);
        expect(largestDifference(own, expected(ids))).toBeLessThan(1e-5);
        const alone = (await pass(runtime, graph, [ids])).sentence_embedding!;
        expect(largestDifference(own, alone)).toBeLessThan(1e-6);
      }
    }
  });

  test('is served as a variant whose rows are proved to be independent', async () => {
    copy.save('static', graphOf(original));
    const model = await copy.model('static');
    expect([model.task, model.dimensions, model.maxTokens]).toEqual(['feature-extraction', WIDTH, original.maxTokens]);
    const session = await runtime.createSession(copy.pathOf('static'));
    const options = { runtimeVersion: runtime.version, device: 'cpu', deviceOptions: {}, now: () => performance.now() };
    expect((await findJoining(model, session, options)).joining).toEqual({ rows: 'any-length', reason: null });
    await session.release();
  });

  test('leaves the tokens of a prompt out where the folder does', async () => {
    const prompts = { ...original.text!.prompts, pooled: false };
    const graph = graphOf({ ...original, text: { ...original.text!, prompts } });
    expect(graph.graph.inputs.map(({ name }) => name)).toEqual(['input_ids', 'attention_mask', 'pooling_mask']);
    const mask: Tensor = { type: 'int64', dims: [1, 6], data: BigInt64Array.of(0n, 0n, 1n, 1n, 1n, 1n) };
    const { sentence_embedding: own } = await pass(runtime, graph, [TEXTS[1]!], { more: { pooling_mask: mask } });
    expect(largestDifference(own!, expected(TEXTS[1]!.slice(2)))).toBeLessThan(1e-5);
  });

  test('has the output that shoal.json names', () => {
    const graph = graphOf({ ...original, shoal: { ...original.shoal, output: 'vectors' } });
    expect(graph.graph.outputs.map(({ name }) => name)).toEqual(['vectors']);
  });
});

test('rows of 8-bit integers are within half a step of what they were', () => {
  const { integers, scales } = integerTable(TABLE, WIDTH);
  for (const [at, value] of TABLE.entries()) {
    const scale = scales[Math.floor(at / WIDTH)]!;
    if (Math.abs(integers[at]! * scale - value) > scale * 0.501) expect(at).toBe('rounded further');
  }
  expect([...integerTable(new Float32Array(4), 2).scales]).toEqual([0, 0]);
});

test('models that cannot have a static student say why', () => {
  expect(refusal(original)).toBeNull();
  expect(refusal({ ...original, text: null, task: 'tensors' })).toBe('it serves tensors: it has no tokenizer');
  const inputs = original.inputs.filter(({ name }) => name !== 'attention_mask');
  expect(refusal({ ...original, inputs })).toContain('no attention_mask');
  expect(refusal({ ...original, text: { ...original.text!, vocabSize: null } })).toContain('no vocab_size');
});
