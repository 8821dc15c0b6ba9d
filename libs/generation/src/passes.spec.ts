/** Passes over any rows of a cache. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KvCache } from './kv/cache.js';
import { DecoderPasses, type NewTokens } from './passes.js';
import type { Candidates } from './sampling/candidates.js';
import { type Loaded, loadModel, prompts } from './testing/texts.js';

const ROWS = 4;
const [A, B] = prompts() as [Uint32Array, Uint32Array];
/** Weights of 8 bits are multiplied by inputs that are rounded together with those of other rows. */
const ROUNDING = 0.2;

let loaded: Loaded;
let cache: KvCache;
let passes: DecoderPasses;
beforeAll(async () => {
  loaded = await loadModel('wordnet-lm');
  const { session, info } = loaded;
  cache = new KvCache(session, info, { rows: ROWS, capacity: info.maxContext + 8 });
  passes = new DecoderPasses(session, info, cache, { logits: true });
});
afterAll(async () => {
  await passes.release();
  await loaded.session.release();
});

const taken = (past: number, ids: ArrayLike<number>, wanted = 1): NewTokens => ({ past, ids, wanted });

async function logitsAfter(rows: readonly NewTokens[], first: number): Promise<Float32Array[]> {
  return (await passes.forward(rows, { first })).map((found) => copyOf(found.at(-1)!));
}

function copyOf({ logits }: Candidates): Float32Array {
  return logits!.slice();
}

function difference(a: Float32Array, b: Float32Array): number {
  return Math.max(...a.map((value, n) => Math.abs(value - b[n]!)));
}

test('a text gives the same logits in any row, after it was copied or exchanged, and the others are left alone', async () => {
  const [expected] = await logitsAfter([taken(0, A)], 0);
  const last = (row: number) => logitsAfter([taken(A.length - 1, A.subarray(-1))], row);
  await passes.forward([taken(0, B)], { first: 1 });
  await passes.forward([taken(0, A)], { first: 2 });
  expect(await logitsAfter([taken(0, A)], 3)).toEqual([expected]);
  const [alone] = await last(0);
  for (const row of [2, 3]) expect(await last(row)).toEqual([alone]);
  cache.swap(1, B.length, 3, A.length);
  expect(await last(1)).toEqual([alone]);
  cache.copyPrefix(1, 0, A.length - 1);
  expect(await last(0)).toEqual([alone]);
  cache.swap(1, A.length, 3, B.length);
  const [other] = await logitsAfter([taken(B.length - 1, B.subarray(-1))], 1);
  await passes.forward([taken(0, B)], { first: 0 });
  expect(await logitsAfter([taken(B.length - 1, B.subarray(-1))], 0)).toEqual([other]);
});

test('what follows each of the last tokens is told, of rows of different lengths', async () => {
  const found = await passes.forward([taken(0, A, 3), taken(0, B.subarray(0, 5), 0), taken(0, B, 2)]);
  expect(found.map(({ length }) => length)).toEqual([3, 0, 2]);
  const kept = found.map((row) => row.map(copyOf));
  for (const [row, text] of [
    [0, A],
    [2, B],
  ] as const) {
    for (const [n, logits] of kept[row]!.entries()) {
      const end = text.length - kept[row]!.length + n + 1;
      const [alone] = await logitsAfter([taken(0, text.subarray(0, end))], 3);
      expect(difference(logits, alone!)).toBeLessThan(ROUNDING);
    }
  }
});

test('a row that would be too long, an unknown token or row, and a pass beside another one are refused', async () => {
  const { info } = loaded;
  const [expected] = await logitsAfter([taken(0, A)], 0);
  const refused = expect.objectContaining({ code: 'inference_failed' });
  for (const [rows, first] of [
    [[taken(cache.capacity, [5])], 0],
    [[taken(-1, [5])], 0],
    // Padding beside a longer row is written too.
    [[taken(cache.capacity - 1, [5]), taken(0, [5, 6])], 0],
    [[taken(0, [info.vocabulary])], 0],
    [[taken(0, [-1])], 0],
    [[taken(0, [0.5])], 0],
    [[taken(0, [5], 2)], 0],
    [[taken(0, [5])], ROWS],
    [[], 0],
  ] as const) {
    await expect(passes.forward(rows, { first })).rejects.toEqual(refused);
  }
  const running = passes.forward([taken(0, A)]);
  await expect(passes.forward([taken(0, B)])).rejects.toEqual(refused);
  expect(copyOf((await running)[0]![0]!)).toEqual(expected);
});

test('memory of a row that is given back is that of no other', async () => {
  await passes.forward([taken(0, A), taken(0, A), taken(0, A)]);
  const last = async (row: number) => (await logitsAfter([taken(A.length - 1, A.subarray(-1))], row))[0];
  const [before] = [await last(0)];
  cache.giveBack(1, 0, cache.capacity);
  expect(await last(0)).toEqual(before);
  expect(await last(2)).toEqual(before);
  await passes.forward([taken(0, A)], { first: 1 });
  expect(await last(1)).toEqual(before);
});
