/** Decoders that make embeddings or scores answer as PyTorch does: each text alone, and all in one padded batch. */
import { serialiseModel } from '@shoal/onnx';
import { openRuntime, type Runtime, type Session, type Tensor } from '@shoal/onnxruntime';
import { beforeAll, describe, expect, test } from 'vitest';
import { architectureOf, buildModel } from '../architectures/table.js';
import { openCheckpoint } from '../checkpoint.js';
import { purposeOf } from '../import/purpose.js';
import { precisionOf } from '../precision/dtype.js';
import { checkpoint, configOf, DECODERS, difference, type Json, pathOf, readJson } from '../testing/decoders.js';

/** The answers were written with six decimals. */
const TOLERANCE = 1e-5;
/** Sums in another order. */
const SAME = 1e-5;

interface Case {
  readonly input_ids: readonly number[];
  readonly values: readonly number[];
}

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

const casesOf = (name: string) => readJson<{ cases: readonly Case[] }>(checkpoint(name, 'expected.json')).cases;

async function open(name: string, changes: Json = {}, dtype = 'fp32'): Promise<Session> {
  const folder = pathOf(checkpoint(name));
  // As a person says it who imports a language model that judges documents.
  const { config, judge } = purposeOf(folder, name === 'qwen3-reranker' ? { task: 'rerank' } : {});
  const model = buildModel({
    config: { ...(config as Json), ...changes },
    checkpoint: openCheckpoint(folder),
    precision: precisionOf(dtype, 'encoder'),
    judge,
  });
  return await runtime.createSession(serialiseModel(model));
}

/** Padding is of a token that means something elsewhere: only the mask says that it is none. */
async function run(session: Session, texts: readonly (readonly number[])[], padId: number): Promise<Tensor> {
  const width = Math.max(...texts.map(({ length }) => length));
  const tensor = (value: (ids: readonly number[], at: number) => number): Tensor => {
    const data = texts.flatMap((ids) => Array.from({ length: width }, (_, at) => BigInt(value(ids, at))));
    return { type: 'int64', dims: [texts.length, width], data: BigInt64Array.from(data) };
  };
  const feeds = {
    input_ids: tensor((ids, at) => ids[at] ?? padId),
    attention_mask: tensor((ids, at) => Number(at < ids.length)),
  };
  return Object.values(await session.run(feeds))[0]!;
}

type Read = (row: Float32Array, tokens: number) => ArrayLike<number>;

/** The largest difference of what `read` makes of a row's output from what PyTorch gives, alone and together. */
async function differences(session: Session, cases: readonly Case[], read: Read) {
  const rowOf = ({ data, dims }: Tensor, row: number) => {
    const stride = data.length / dims[0]!;
    return (data as Float32Array).subarray(row * stride, (row + 1) * stride);
  };
  let [fromPyTorch, together] = [0, 0];
  for (const padId of [0, 7]) {
    const all = await run(
      session,
      cases.map(({ input_ids }) => input_ids),
      padId,
    );
    for (const [n, { input_ids: ids, values }] of cases.entries()) {
      const alone = read(rowOf(await run(session, [ids], padId), 0), ids.length);
      fromPyTorch = Math.max(fromPyTorch, difference(alone, values));
      together = Math.max(together, difference(read(rowOf(all, n), ids.length), alone));
    }
  }
  return { fromPyTorch, together };
}

function unit(values: Float32Array): Float32Array {
  const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return values.map((value) => value / length);
}

const WIDTH = 32;

/** Last token, unit length. */
const embedding: Read = (states, tokens) => unit(states.subarray((tokens - 1) * WIDTH, tokens * WIDTH));

/** Mean, two Dense, unit length. */
function gemmaEmbedding(): Read {
  const dense = ['2_Dense', '3_Dense'].map((module, n) => {
    const [outputs, inputs] = n === 0 ? [2 * WIDTH, WIDTH] : [WIDTH, 2 * WIDTH];
    const weight = openCheckpoint(pathOf(checkpoint('embedding-gemma', module)));
    const matrix = weight.matrix('linear.weight', outputs, inputs).read();
    return (x: Float32Array) =>
      Float32Array.from({ length: outputs }, (_, o) =>
        x.reduce((sum, value, i) => sum + value * matrix[o * inputs + i]!, 0),
      );
  });
  return (states, tokens) => {
    const mean = Float32Array.from({ length: WIDTH }, (_, i) => {
      let sum = 0;
      for (let token = 0; token < tokens; token++) sum += states[token * WIDTH + i]!;
      return sum / tokens;
    });
    return unit(dense.reduce((x, apply) => apply(x), mean));
  };
}

const asIs: Read = (row) => row;

describe.each([
  ['qwen3-embedding', () => embedding],
  ['embedding-gemma', gemmaEmbedding],
  ['qwen3-rerank-classify', () => asIs],
  ['qwen3-reranker', () => asIs],
] as const)('%s', (name, reader) => {
  const cases = casesOf(name).map(({ input_ids, values }) => ({
    input_ids,
    // Of a judge: the logits of yes and no.
    values: name === 'qwen3-reranker' ? [values[0]! - values[1]!] : values,
  }));

  test('gives PyTorch’s values, alone as well as batched and padded', async () => {
    const session = await open(name);
    const { fromPyTorch, together } = await differences(session, cases, reader());
    expect(fromPyTorch).toBeLessThan(TOLERANCE);
    expect(together).toBeLessThan(SAME);
    await session.release();
  });

  test.each(['fp16', 'int8', 'int4'])('as %s answers a text alone as beside any others', async (dtype) => {
    const session = await open(name, {}, dtype);
    const { fromPyTorch, together } = await differences(session, cases, reader());
    expect(fromPyTorch).toBeLessThan(1);
    expect(together).toBeLessThan(dtype === 'fp16' ? 2 ** -8 : SAME);
    await session.release();
  });
});

/** Their frequencies depend on how long a text is. */
const BY_LENGTH = ['llama-dynamic', 'phi3-longrope'];

test.each(DECODERS.filter((name) => !BY_LENGTH.includes(name)))(
  '%s has the logits of PyTorch without a cache too',
  async (name) => {
    const folder = pathOf(checkpoint(name));
    const answers = readJson<{ cases: readonly { input_ids: readonly number[]; last_logits: readonly number[] }[] }>(
      checkpoint(name, 'expected.json'),
    ).cases;
    for (const [yes, no] of [
      [5, null],
      [7, 200],
    ] as const) {
      const opened = openCheckpoint(folder);
      const config = configOf(name);
      const buildJudge = architectureOf(config).buildJudge;
      // Of the part of a model for texts and images nobody makes a judge.
      if (buildJudge === undefined) return;
      const model = buildJudge({
        config,
        checkpoint: opened,
        precision: precisionOf('fp32', 'encoder'),
        judge: { yes, no },
      });
      expect(opened.unused).toEqual([]);
      const session = await runtime.createSession(serialiseModel(model));
      const cases = answers.map(({ input_ids, last_logits: of }) => ({
        input_ids,
        values: [of[yes]! - (no === null ? 0 : of[no]!)],
      }));
      const { fromPyTorch, together } = await differences(session, cases, asIs);
      expect(fromPyTorch).toBeLessThan(TOLERANCE);
      expect(together).toBeLessThan(SAME);
      await session.release();
    }
  },
);

test.each(BY_LENGTH)('%s is refused where it is to make embeddings', (name) => {
  const config = { ...configOf(name), architectures: [architectureOf(configOf(name)).trunk!] };
  const opened = openCheckpoint(pathOf(checkpoint(name)));
  expect(() => buildModel({ config, checkpoint: opened, precision: precisionOf('fp32', 'encoder') })).toThrow(
    'supported for text-generation only',
  );
});

test('tokens see no further back than the window of their layer', async () => {
  const changes = { use_sliding_window: true, sliding_window: 4, layer_types: ['full_attention', 'sliding_attention'] };
  const [windowed, whole] = [await open('qwen3-embedding', changes), await open('qwen3-embedding')];
  const [{ input_ids: ids }] = [casesOf('qwen3-embedding')[1]!];
  const statesOf = async (session: Session) => (await run(session, [ids], 0)).data as Float32Array;
  const [a, b] = [await statesOf(windowed), await statesOf(whole)];
  expect(difference(a.subarray(0, 4 * WIDTH), b.subarray(0, 4 * WIDTH))).toBeLessThan(SAME);
  expect(difference(a.subarray(4 * WIDTH, 5 * WIDTH), b.subarray(4 * WIDTH, 5 * WIDTH))).toBeGreaterThan(1e-3);
  for (const session of [windowed, whole]) await session.release();
});

test('a class is told from the last token that is not padding, whatever stands behind it', async () => {
  const session = await open('qwen3-rerank-classify');
  const { pad_token_id: pad } = configOf('qwen3-rerank-classify') as { readonly pad_token_id: number };
  const [{ input_ids: ids, values }] = [casesOf('qwen3-rerank-classify')[0]!];
  // As transformers does where a text ends with the token that it is padded with.
  expect(difference((await run(session, [[...ids, pad]], 5)).data as Float32Array, values)).toBeLessThan(TOLERANCE);
  await session.release();
});
