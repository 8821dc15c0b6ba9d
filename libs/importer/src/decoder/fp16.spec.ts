/**
 * Decoders in 16-bit floats, loaded as they are. Sessions on the CPU widen them first (`sessionModel`), so no other test
 * sees the graph that a GPU gets: that its types fit together, that the cache is 16 bits wide, and that the answers are
 * right. ONNX Runtime's CPU takes it too, with casts of its own around operators that it knows in 32 bits only.
 */

import { DecoderPasses, KvCache } from '@shoal/generation';
import { narrowModel } from '@shoal/onnx';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
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

/**
 * The largest logits are between 2 and 4, where 16-bit floats lie 2^-9 apart, and every layer rounds on the way: 0.011
 * (gemma3, of seven layers) was the largest difference from PyTorch's 32 bits. A cache that is read wrongly costs 0.1 and more.
 */
const TOLERANCE = 2 ** -6;
/** Between ways of computing the same thing: sums in another order, here and there rounded to the neighbour. 0.00085 was seen. */
const ROUNDING = 2 ** -8;

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

describe.each(DECODERS)('%s in 16-bit floats', (name) => {
  const cases = casesOf(name);
  const rows = rowsOf(name);
  let loaded: Loaded;
  beforeAll(async () => {
    loaded = await load(runtime, name, narrowModel);
  });
  afterAll(() => loaded.session.release());

  test('loads; the cache has 16 bits, what is read 32', () => {
    const { inputs, outputs } = loaded.session;
    const cache = [...inputs, ...outputs].filter(({ name }) => /^(past_key_values|present)\./.test(name));
    expect(new Set(cache.map(({ type }) => type))).toEqual(new Set(['float16']));
    for (const name of ['logits', 'top_k_values', 'log_sum_exp']) {
      expect(outputs.find((output) => output.name === name)?.type).toBe('float32');
    }
  });

  test('gives the logits of PyTorch nearly, in one pass, in chunks and token by token', async () => {
    const whole = await logitsOf(loaded, rows, 64);
    const parts = await Promise.all([1, 7].map((chunk) => logitsOf(loaded, rows, chunk)));
    for (const [n, { last_logits }] of cases.entries()) {
      expect(difference(whole[n]!, last_logits)).toBeLessThan(TOLERANCE);
      for (const part of parts) expect(difference(part[n]!, whole[n]!)).toBeLessThan(ROUNDING);
    }
  });

  test('continues greedily as PyTorch does', async () => {
    const prompts = cases.map(({ input_ids }) => input_ids);
    const texts = await generate(loaded, prompts, { maxTokens: NEW_TOKENS, stopIds: [], chunk: 64 });
    // All are here; these models have steps whose two likeliest tokens lie 0.001 apart, and processors round differently.
    const same = cases.filter(({ greedy_ids }, n) => greedy_ids.join() === texts[n]!.join());
    expect(same.length).toBeGreaterThanOrEqual(cases.length - 1);
  });
});

test('candidates and the log of the sum of exponentials are computed from the logits in 32 bits', async () => {
  const { session, info } = await load(runtime, 'llama', narrowModel);
  const cache = new KvCache(session, info, { rows: 1, capacity: info.maxContext });
  const passes = new DecoderPasses(session, info, cache, { logits: true });
  const [[found] = []] = await passes.forward([{ past: 0, ids: [5, 6, 7], wanted: 1, logSumExp: true }], {
    candidates: 8,
  });
  const { logits, values, logSumExp } = found!;
  expect([...values]).toEqual([...logits!].sort((a, b) => b - a).slice(0, 8));
  const sum = logits!.reduce((total, logit) => total + Math.exp(logit), 0);
  expect(Math.abs(logSumExp! - Math.log(sum))).toBeLessThan(1e-5);
  await passes.release();
  await session.release();
});
