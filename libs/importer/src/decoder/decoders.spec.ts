/**
 * Decoders imported from checkpoints answer as PyTorch does: each text alone and in ragged batches, in one pass, in chunks
 * and token by token.
 */

import { DecoderPasses, generateGreedily, KvCache } from '@shoal/generation';
import { openRuntime, type Runtime, type Tensor } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Case,
  casesOf,
  DECODERS,
  difference,
  generate,
  type Loaded,
  load,
  logitsOf,
  NEW_TOKENS,
  rowsOf,
} from '../testing/decoders.js';

const TOLERANCE = 1e-3;
/** Between ways of computing the same thing. */
const ROUNDING = 1e-4;

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

const greedily = (chunk: number) => ({ maxTokens: NEW_TOKENS, stopIds: [], chunk });

describe.each(DECODERS)('%s', (name) => {
  const cases = casesOf(name);
  const rows = rowsOf(name);
  const prompts = cases.map(({ input_ids }) => input_ids);
  let loaded: Loaded;
  beforeAll(async () => {
    loaded = await load(runtime, name);
  });
  afterAll(() => loaded.session.release());

  test('the logits after a text are those of PyTorch, alone and in a padded batch', async () => {
    const batched = await logitsOf(loaded, rows, 64);
    for (const [n, { last_logits }] of cases.entries()) {
      const [alone] = await logitsOf(loaded, [rows[n]!], 64);
      expect(difference(alone!, last_logits)).toBeLessThan(TOLERANCE);
      expect(difference(batched[n]!, last_logits)).toBeLessThan(TOLERANCE);
    }
  });

  test('a text in chunks, or token by token, gives the logits of one pass', async () => {
    const whole = await logitsOf(loaded, rows, 64);
    for (const chunk of [1, 7]) {
      const parts = await logitsOf(loaded, rows, chunk);
      for (const n of cases.keys()) expect(difference(parts[n]!, whole[n]!)).toBeLessThan(ROUNDING);
    }
  });

  test('greedy continuations are those of PyTorch, alone and in a ragged batch, in one pass and in chunks', async () => {
    const expected = cases.map(({ greedy_ids }) => greedy_ids);
    for (const [n, prompt] of prompts.entries())
      expect(await generate(loaded, [prompt], greedily(64))).toEqual([expected[n]]);
    for (const chunk of [7, 64]) expect(await generate(loaded, prompts, greedily(chunk))).toEqual(expected);
  });
});

describe('a pass', () => {
  const { input_ids: ids, last_logits } = casesOf('llama')[2]!;
  let loaded: Loaded;
  beforeAll(async () => {
    loaded = await load(runtime, 'llama');
  });
  afterAll(() => loaded.session.release());

  test('writes new keys and values into the memory of the past, and nothing else', async () => {
    const { session, info } = loaded;
    const capacity = info.maxContext;
    const SENTINEL = 7;
    const dims = [1, info.kvHeads, capacity, info.headDim];
    const past: Record<string, Tensor> = {};
    const present: Record<string, Tensor> = {};
    for (const { name } of session.inputs.filter((input) => input.name.startsWith('past_key_values.'))) {
      const data = new Float32Array(info.kvHeads * capacity * info.headDim).fill(SENTINEL);
      past[name] = present[name.replace('past_key_values', 'present')] = { type: 'float32', dims, data };
    }
    const int64 = (values: readonly number[], ...shape: number[]): Tensor => {
      return { type: 'int64', dims: shape, data: BigInt64Array.from(values, BigInt) };
    };
    const run = async (start: number, end: number) => {
      const part = ids.slice(start, end);
      const feeds = {
        input_ids: int64(part, 1, part.length),
        position_ids: int64([...ids.keys()].slice(start, end), 1, part.length),
        seqlens_k: { type: 'int32', dims: [1], data: Int32Array.of(end - 1) },
        total_sequence_length: { type: 'int32', dims: [1], data: Int32Array.of(part.length) },
        logit_indices: int64([part.length - 1], 1),
        log_sum_exp_indices: int64([], 0),
        top_k: int64([1], 1),
        ...past,
      } as const;
      return await session.run(feeds, { outputs: ['logits'], preallocated: present });
    };
    await run(0, 9);
    const { logits } = await run(9, ids.length);
    expect(difference(logits!.data as Float32Array, last_logits)).toBeLessThan(TOLERANCE);
    for (const { data } of Object.values(present)) {
      const used = (data as Float32Array).map((value) => (value === SENTINEL ? 0 : 1));
      for (let head = 0; head < info.kvHeads; head++) {
        const row = used.subarray(head * capacity * info.headDim, (head + 1) * capacity * info.headDim);
        expect(row.lastIndexOf(1)).toBe(ids.length * info.headDim - 1);
        expect(row.indexOf(0)).toBe(ids.length * info.headDim);
      }
    }
  });

  test('gives as many candidates as are asked for, and the log of the sum of exponentials where it is', async () => {
    const { session, info } = loaded;
    const cache = new KvCache(session, info, { rows: 3, capacity: info.maxContext });
    const passes = new DecoderPasses(session, info, cache);
    const order = [...last_logits.entries()].sort(([, a], [, b]) => b - a);
    const logSumExp = Math.log(last_logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
    const row = { past: 0, ids, wanted: 1 };
    for (const candidates of [1, 64]) {
      const rows = [{ ...row, logSumExp: true }, row, { ...row, logSumExp: true }];
      const found = (await passes.forward(rows, { candidates })).map(([next]) => next!);
      const likeliest = order.slice(0, candidates);
      for (const { ids, values } of found) {
        expect(Array.from(ids, Number)).toEqual(likeliest.map(([id]) => id));
        expect(
          difference(
            values,
            likeliest.map(([, logit]) => logit),
          ),
        ).toBeLessThan(TOLERANCE);
      }
      expect(found[0]!.logSumExp).toBeCloseTo(logSumExp, 4);
      expect(found[1]!.logSumExp).toBeUndefined();
      expect(found[2]!.logSumExp).toBeCloseTo(logSumExp, 4);
    }
    const [[more] = []] = await passes.forward([row], { candidates: info.vocabulary + 1 });
    expect(more!.ids).toHaveLength(info.vocabulary);
    await passes.release();
  });

  test('of which nothing is wanted leaves the rows as if it had been asked', async () => {
    const { session, info } = loaded;
    const cache = new KvCache(session, info, { rows: 2, capacity: info.maxContext });
    const passes = new DecoderPasses(session, info, cache, { logits: true });
    const half = ids.slice(0, 9);
    const wanted = 0;
    const none = await passes.forward([
      { past: 0, ids: half, wanted },
      { past: 0, ids: [], wanted },
    ]);
    expect(none).toEqual([[], []]);
    const [[found] = []] = await passes.forward([{ past: 9, ids: ids.slice(9), wanted: 1 }]);
    expect(difference(found!.logits!, last_logits)).toBeLessThan(TOLERANCE);
    await passes.release();
  });
});

test('a text ends with a token that ends texts, while others go on', async () => {
  const loaded = await load(runtime, 'llama');
  const [a, b] = casesOf('llama') as [Case, Case];
  const stop = a.greedy_ids[3]!;
  const texts: (number | undefined)[][] = [];
  const options = { maxTokens: 6, stopIds: [stop] };
  const prompts = [a.input_ids, b.input_ids];
  for await (const ids of generateGreedily(loaded.session, loaded.info, prompts, options)) texts.push([...ids]);
  const end = a.greedy_ids.indexOf(stop);
  expect(texts.map(([id]) => id)).toEqual(a.greedy_ids.slice(0, 6).map((id, n) => (n > end ? undefined : id)));
  expect(texts.map(([, id]) => id)).toEqual(b.greedy_ids.slice(0, 6));
  await loaded.session.release();
});

test('a text ends where the longest context does', async () => {
  const loaded = await load(runtime, 'llama');
  const prompt = Array.from({ length: loaded.info.maxContext - 2 }, (_, n) => 5 + (n % 200));
  const found = await generate(loaded, [prompt], greedily(64));
  // The last token is one that no pass has to read.
  expect(found[0]).toHaveLength(3);
  await loaded.session.release();
});
