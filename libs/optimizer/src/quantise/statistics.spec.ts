/** What matrices multiply is observed exactly: by hand on a tiny graph, without padding, and whatever the size of a pass. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildModel, Matrix, openCheckpoint } from '@shoal/importer';
import { GraphBuilder, serialiseModel } from '@shoal/onnx';
import { openRuntime, type Runtime, type Tensor } from '@shoal/onnxruntime';
import { seededRandom } from '@shoal/training';
import { beforeAll, expect, test } from 'vitest';
import { decoderTexts } from './decoder-texts.js';
import { inputsOf, observed } from './observed.js';
import { importanceOf, statisticsOf } from './statistics.js';
import { fixture, imported, subjectOf } from './subject.testing.js';
import type { Texts } from './texts.js';

const { signal } = new AbortController();
const OPTIONS = { sample: 3, random: seededRandom(1) };

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

/** Rows of numbers in place of texts. */
function rowsOf(...passes: readonly (readonly (readonly number[])[])[]): Texts {
  return {
    ...{ count: passes.length, tokens: passes.flat().length, vocabulary: undefined },
    async observe(session, wanted, _width, use) {
      for (const rows of passes) {
        const x = {
          type: 'float32',
          dims: [rows.length, rows[0]!.length],
          data: Float32Array.from(rows.flat()),
        } as const;
        use(await session.run({ x }, { outputs: wanted }));
      }
    },
    answers: async () => undefined,
  };
}

test('means, squares and ranges of a tiny graph are those that a hand comes to', async () => {
  const { precision, products } = observed();
  const g = new GraphBuilder({ name: 'tiny', opset: 21, irVersion: 10 });
  const x = g.input('x', 'float32', ['n', 2]);
  const weight = new Matrix(1, 2, () => Float32Array.of(1, 1));
  g.output('y', precision.linear(g, g.op('Relu', [x]), 'w', weight), 'float32', ['n', 1]);
  const session = await runtime.createSession(serialiseModel(precision.finish!(g.build())));
  const texts = rowsOf(
    [[1, -5]],
    [
      [3, 2],
      [0, 4],
    ],
  );
  const statistics = await statisticsOf(session, products, texts, OPTIONS);
  await session.release();
  const { rows, means, squares, lowest, highest, sample } = statistics.get('w')!;
  expect(rows).toBe(3);
  // Relu: (1, 0), (3, 2), (0, 4)
  expect([...means]).toEqual([4 / 3, 2]);
  expect([...squares]).toEqual([10 / 3, 20 / 3]);
  expect([...lowest]).toEqual([0, 0]);
  expect([...highest]).toEqual([3, 4]);
  expect([...sample]).toEqual([1, 0, 3, 2, 0, 4]);
  // Of the mean of all, 5, and a tenth of it.
  const importance = importanceOf(statistics)('w')!;
  expect(importance[0]).toBeCloseTo(10 / 15 + 0.1);
  expect(importance[1]).toBeCloseTo(20 / 15 + 0.1);
});

test('padding is in none of it: texts beside longer ones have the rows that they have alone', async () => {
  const folder = fixture('checkpoints/bert');
  const config: unknown = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  const { precision, products } = observed();
  const model = buildModel({ config, checkpoint: openCheckpoint(folder, config), precision });
  const session = await runtime.createSession(serialiseModel(model));
  const wanted = inputsOf(products);
  const run = async (rows: readonly (readonly number[])[]) => {
    const width = Math.max(...rows.map(({ length }) => length));
    const int64 = (numberOf: (id: number | undefined) => number): Tensor => ({
      type: 'int64',
      dims: [rows.length, width],
      data: BigInt64Array.from(
        rows.flatMap((row) => Array.from({ length: width }, (_, n) => BigInt(numberOf(row[n])))),
      ),
    });
    const feeds = {
      input_ids: int64((id) => id ?? 2),
      attention_mask: int64((id) => Number(id !== undefined)),
      token_type_ids: int64(() => 0),
    };
    return await session.run(feeds, { outputs: wanted });
  };
  const [short, long] = [
    [5, 6, 7],
    [8, 9, 10, 11, 12, 13],
  ];
  const together = await run([short, long]);
  const [first, second] = [await run([short]), await run([long])];
  await session.release();
  for (const value of wanted) {
    const alone = [...(first[value]!.data as Float32Array), ...(second[value]!.data as Float32Array)];
    const all = together[value]!.data as Float32Array;
    expect(all.length).toBe(alone.length);
    for (const [n, number] of all.entries()) expect(number).toBeCloseTo(alone[n]!, 4);
  }
});

test('a decoder’s texts in many small passes give what they give in one', async () => {
  const { model, remove } = await imported(runtime, 'llama');
  try {
    const folder = fixture('checkpoints/llama');
    const config: unknown = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
    const { precision, products } = observed();
    const graph = buildModel({ config, checkpoint: openCheckpoint(folder, config), precision });
    const session = await runtime.createSession(serialiseModel(graph));
    const { data } = subjectOf(model, 'wordnet-topic/eval.jsonl');
    const texts = await decoderTexts(model, data.calibration, { tokens: 300, signal });
    const whole = await statisticsOf(session, products, texts, OPTIONS);
    // Passes of five tokens, whatever the width.
    const pieces: Texts = {
      ...{ count: texts.count, tokens: texts.tokens, vocabulary: texts.vocabulary },
      observe: (own, wanted, _width, use) => texts.observe(own, wanted, 3e6, use),
      answers: (own, use) => texts.answers(own, use),
    };
    const small = await statisticsOf(session, products, pieces, OPTIONS);
    await session.release();
    expect([...whole.keys()]).toEqual([...small.keys()]);
    for (const [name, { rows, squares, means }] of whole) {
      expect(small.get(name)!.rows).toBe(rows);
      expect(rows).toBe(texts.tokens);
      for (const [n, square] of squares.entries()) expect(small.get(name)!.squares[n]! / square).toBeCloseTo(1, 3);
      for (const [n, mean] of means.entries()) expect(small.get(name)!.means[n]!).toBeCloseTo(mean, 4);
    }
  } finally {
    remove();
  }
});

test('products of the same input are one, with the names that a precision gets', () => {
  const folder = fixture('checkpoints/llama');
  const config: unknown = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  const { precision, products, normed } = observed();
  buildModel({ config, checkpoint: openCheckpoint(folder, config), precision });
  expect([...products.keys()].slice(0, 4)).toEqual([
    'model.layers.0.self_attn.qkv_proj.weight',
    'model.layers.0.self_attn.o_proj.weight',
    'model.layers.0.mlp.gate_up_proj.weight',
    'model.layers.0.mlp.down_proj.weight',
  ]);
  expect([...normed]).toEqual([]);
});
