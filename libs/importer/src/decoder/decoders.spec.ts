/**
 * Decoders imported from checkpoints answer as PyTorch does: each text alone and in ragged batches, in one pass, in chunks
 * and token by token.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dataOf, type Model, serialiseModel } from '@shoal/onnx';
import { openRuntime, type Runtime, type Session, type Tensor } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildModel } from '../architectures/table.js';
import { openCheckpoint } from '../checkpoint.js';
import { float32 } from '../precision/float32.js';
import { generateGreedily } from './generate.js';
import { type DecoderInfo, decoderInfoOf } from './info.js';
import { DecoderPasses, type NewTokens } from './passes.js';

const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/checkpoints', import.meta.url));
const CHECKPOINTS = [
  ...['llama', 'llama-tied', 'llama-bias', 'llama-linear', 'llama-dynamic', 'llama-yarn', 'llama-llama3'],
  ...['mistral', 'qwen2', 'qwen3'],
];
const TOLERANCE = 1e-3;
/** Between ways of computing the same thing. */
const ROUNDING = 1e-4;
const NEW_TOKENS = 20;

interface Case {
  readonly input_ids: readonly number[];
  readonly last_logits: readonly number[];
  readonly greedy_ids: readonly number[];
}

interface Loaded {
  readonly session: Session;
  readonly info: DecoderInfo;
}

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

function read<T>(name: string, file: string): T {
  return JSON.parse(readFileSync(`${FIXTURES}/${name}/${file}`, 'utf8')) as T;
}

async function load(name: string, edit: (model: Model) => void = () => {}): Promise<Loaded> {
  const model = buildModel({
    config: read(name, 'config.json'),
    checkpoint: openCheckpoint(`${FIXTURES}/${name}`),
    precision: float32,
  });
  edit(model);
  return { session: await runtime.createSession(serialiseModel(model)), info: decoderInfoOf(model)! };
}

async function generate({ session, info }: Loaded, prompts: readonly (readonly number[])[], chunk: number) {
  const texts: number[][] = prompts.map(() => []);
  for await (const ids of generateGreedily(session, info, prompts, { maxTokens: NEW_TOKENS, stopIds: [], chunk })) {
    ids.forEach((id, row) => {
      if (id !== undefined) texts[row]!.push(id);
    });
  }
  return texts;
}

/** The logits after each row, which is processed in passes of the given numbers of tokens. */
async function logitsOf(
  { session, info }: Loaded,
  rows: readonly { readonly ids: readonly number[]; readonly rotaryLength: number }[],
  chunk: number,
): Promise<Float32Array[]> {
  const passes = new DecoderPasses(session, info, {
    rows: rows.length,
    capacity: info.maxContext + chunk,
    logits: true,
  });
  const found: Float32Array[] = [];
  const longest = Math.max(...rows.map(({ ids }) => ids.length));
  for (let start = 0; start < longest; start += chunk) {
    const candidates = await passes.forward(
      rows.map(({ ids, rotaryLength }): NewTokens => {
        const part = ids.slice(start, start + chunk);
        const wanted = part.length > 0 && start + part.length === ids.length;
        return { past: Math.min(start, ids.length), ids: part, wanted, rotaryLength };
      }),
    );
    candidates.forEach((candidate, row) => {
      if (candidate?.logits) found[row] = candidate.logits.slice();
    });
  }
  await passes.release();
  return found;
}

function roundFrequencies({ graph: { initializers } }: Model): void {
  for (const [name, of] of [['rotary.cos', Math.cos] as const, ['rotary.sin', Math.sin] as const]) {
    const tensor = initializers.get(name)!;
    const [rows = 0, width = 0] = tensor.dims;
    const values = Float32Array.from({ length: rows * width }, (_, at) =>
      of(Math.floor(at / width) * toHalf(10_000 ** (-(at % width) / width))),
    );
    initializers.set(name, { ...tensor, data: dataOf(values) });
  }
}

/** Of 11 significant bits, 2^-24 the smallest step. */
function toHalf(x: number): number {
  const step = 2 ** (Math.max(Math.floor(Math.log2(x)), -14) - 10);
  return Math.round(x / step) * step;
}

function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.max(...Array.from({ length: Math.max(a.length, b.length) }, (_, i) => Math.abs(a[i]! - b[i]!)));
}

describe.each(CHECKPOINTS)('%s', (name) => {
  const { cases } = read<{ cases: readonly Case[] }>(name, 'expected.json');
  // PyTorch computed the last logits after the greedy tokens, when its dynamic frequencies were those of the whole text:
  // it makes them anew only for longer texts, or for those that fit into the original context.
  const from = name === 'llama-dynamic' ? 48 : Number.POSITIVE_INFINITY;
  const rows = cases.map(({ input_ids: ids }) => ({
    ids,
    rotaryLength: ids.length > from ? ids.length + NEW_TOKENS - 1 : ids.length,
  }));
  const prompts = cases.map(({ input_ids }) => input_ids);
  let loaded: Loaded;
  beforeAll(async () => {
    loaded = await load(name);
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
    for (const [n, prompt] of prompts.entries()) expect(await generate(loaded, [prompt], 64)).toEqual([expected[n]]);
    for (const chunk of [7, 64]) expect(await generate(loaded, prompts, chunk)).toEqual(expected);
  });
});

describe('a pass', () => {
  const [, , { input_ids: ids, last_logits }] = read<{ cases: [Case, Case, Case] }>('llama', 'expected.json').cases;
  let loaded: Loaded;
  beforeAll(async () => {
    loaded = await load('llama');
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
    const feeds = {
      input_ids: int64(ids, 1, ids.length),
      position_ids: int64([...ids.keys()], 1, ids.length),
      seqlens_k: { type: 'int32', dims: [1], data: Int32Array.of(ids.length - 1) },
      total_sequence_length: { type: 'int32', dims: [1], data: Int32Array.of(ids.length) },
      logit_indices: int64([ids.length - 1], 1),
      ...past,
    } as const;
    const { logits } = await session.run(feeds, { outputs: ['logits'], preallocated: present });
    expect(difference(logits!.data as Float32Array, last_logits)).toBeLessThan(TOLERANCE);
    for (const { data } of Object.values(present)) {
      // A kernel that copies the past into other memory leaves zeros behind what it has copied.
      const used = (data as Float32Array).map((value) => (value === SENTINEL ? 0 : 1));
      for (let head = 0; head < info.kvHeads; head++) {
        const row = used.subarray(head * capacity * info.headDim, (head + 1) * capacity * info.headDim);
        expect(row.lastIndexOf(1)).toBe(ids.length * info.headDim - 1);
        expect(row.indexOf(0)).toBe(ids.length * info.headDim);
      }
    }
  });

  test('gives the likeliest tokens in order, and the logarithm of the sum of exponentials', async () => {
    const passes = new DecoderPasses(loaded.session, loaded.info, {
      rows: 1,
      capacity: loaded.info.maxContext,
      logits: true,
    });
    const [found] = await passes.forward([{ past: 0, ids, wanted: true }]);
    const order = [...last_logits.entries()].sort(([, a], [, b]) => b - a).slice(0, 64);
    expect(Array.from(found!.ids, Number)).toEqual(order.map(([id]) => id));
    expect(
      difference(
        found!.values,
        order.map(([, logit]) => logit),
      ),
    ).toBeLessThan(TOLERANCE);
    expect(found!.logSumExp).toBeCloseTo(Math.log(last_logits.reduce((sum, logit) => sum + Math.exp(logit), 0)), 4);
    await passes.release();
  });

  test('of which nothing is wanted leaves the rows as if it had been asked', async () => {
    const passes = new DecoderPasses(loaded.session, loaded.info, {
      rows: 2,
      capacity: loaded.info.maxContext,
      logits: true,
    });
    const half = ids.slice(0, 9);
    const wanted = false;
    const none = await passes.forward([
      { past: 0, ids: half, wanted },
      { past: 0, ids: [], wanted },
    ]);
    expect(none).toEqual([undefined, undefined]);
    const [found] = await passes.forward([{ past: 9, ids: ids.slice(9), wanted: true }]);
    expect(difference(found!.logits!, last_logits)).toBeLessThan(TOLERANCE);
    await passes.release();
  });
});

test('a text ends with a token that ends texts, while others go on', async () => {
  const loaded = await load('llama');
  const [a, b] = read<{ cases: [Case, Case] }>('llama', 'expected.json').cases;
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
  const loaded = await load('llama');
  const prompt = Array.from({ length: loaded.info.maxContext - 2 }, (_, n) => 5 + (n % 200));
  const found = await generate(loaded, [prompt], 64);
  // The last token is one that no pass has to read.
  expect(found[0]).toHaveLength(3);
  await loaded.session.release();
});

describe('wordnet-lm-draft', () => {
  interface Reference {
    readonly input_ids: readonly number[];
    readonly greedy_ids: readonly number[];
    readonly top8_ids: readonly number[];
    readonly top8_logits: readonly number[];
  }
  const { greedy } = read<{ greedy: readonly Reference[] }>('wordnet-lm-draft', 'reference.json');
  let loaded: Loaded;
  beforeAll(async () => {
    loaded = await load('wordnet-lm-draft');
  });
  afterAll(() => loaded.session.release());

  async function differences({ session, info }: Loaded): Promise<number> {
    const rows = greedy.map(({ input_ids: ids }) => ({ ids, rotaryLength: ids.length }));
    const logits = await logitsOf({ session, info }, rows, 128);
    return Math.max(
      ...greedy.map(({ top8_ids, top8_logits }, n) =>
        difference(
          top8_ids.map((id) => logits[n]![id]!),
          top8_logits,
        ),
      ),
    );
  }

  test('top-8 logits are those of PyTorch', async () => {
    // PyTorch rounded its frequencies to half precision when it did so to the weights, for these answers only.
    expect(await differences(loaded)).toBeLessThan(4e-3);
    const rounded = await load('wordnet-lm-draft', roundFrequencies);
    expect(await differences(rounded)).toBeLessThan(ROUNDING);
    await rounded.session.release();
  });

  test('greedy continuations are identical, in one batch', async () => {
    const texts: number[][] = greedy.map(() => []);
    const prompts = greedy.map(({ input_ids }) => input_ids);
    for await (const ids of generateGreedily(loaded.session, loaded.info, prompts, { maxTokens: 40 })) {
      ids.forEach((id, row) => {
        if (id !== undefined) texts[row]!.push(id);
      });
    }
    expect(texts).toEqual(greedy.map(({ greedy_ids }) => greedy_ids));
  });
});
