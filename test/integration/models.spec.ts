import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WireOutput } from '@shoal/contracts';
import {
  createModelFace,
  type EncodedInput,
  loadRunner,
  type Model,
  type ModelFace,
  openRepository,
} from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, expect, test } from 'vitest';

const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const fixture = (name: string): unknown => JSON.parse(readFileSync(path(`test/fixtures/${name}`), 'utf8'));

interface Sample {
  readonly text: string;
  readonly input_ids: readonly number[];
  readonly logits?: readonly number[];
  readonly embedding?: readonly number[];
}
const samples = (name: string) =>
  (fixture(`${name}/reference.json`) as { readonly samples: readonly Sample[] }).samples;

let runtime: Runtime;
let models: readonly Model[];
let exported: string;
beforeAll(async () => {
  runtime = await openRuntime();
  exported = mkdtempSync(join(tmpdir(), 'shoal-exports-'));
  for (const name of ['mixed-dynamo', 'keras-conv']) {
    cpSync(path(`test/fixtures/exports/${name}.onnx`), join(exported, name, 'model.onnx'));
  }
  const repositories = await Promise.all([openRepository(path('models')), openRepository(exported)]);
  expect(repositories.flatMap(({ problems }) => problems)).toEqual([]);
  models = repositories.flatMap((repository) => repository.models);
});
afterAll(() => rmSync(exported, { recursive: true }));

/** Runs `work` with both halves of a bundled model and releases the session. */
async function using(name: string, work: (face: ModelFace, run: Run) => Promise<void>): Promise<void> {
  const model = models.find((candidate) => candidate.name === name)!;
  const session = await runtime.createSession(model.variants[model.variant]!);
  const runner = loadRunner(model, session, { rows: model.batchable ? 'any-length' : 'alone', reason: null });
  try {
    await work(await createModelFace(model), async ({ items, parameters }) => {
      const outputs = await runner.run(items.map((item) => ({ item, parameters })));
      return outputs.map((output) => {
        if (output instanceof Error) throw output;
        return output;
      });
    });
  } finally {
    await runner.close();
  }
}
type Run = (encoded: EncodedInput) => Promise<WireOutput[]>;

/** Largest difference between an output and PyTorch's values. */
function difference(output: WireOutput, sample: Sample): number {
  if (output.kind === 'scores') {
    return Math.max(...Array.from(output.indices, (at, i) => Math.abs(output.scores[i]! - sample.logits![at]!)));
  }
  if (output.kind !== 'vector') throw new Error(`unexpected ${output.kind}`);
  return Math.max(...Array.from(output.values, (value, i) => Math.abs(value - sample.embedding![i]!)));
}

test.each([
  ['wordnet-topic', { function_to_apply: 'none' }, 1e-3],
  ['wordnet-embed', {}, 1e-4],
] as const)(
  '%s answers as PyTorch does, singly and in batches of different lengths',
  async (name, parameters, tolerance) => {
    await using(name, async (face, run) => {
      const reference = samples(name);
      const encoded = await face.encode({ input: reference.map(({ text }) => text), parameters });
      expect(new Set(encoded.tokens).size).toBeGreaterThan(5);
      const together = await run(encoded);
      for (const [i, sample] of reference.entries()) {
        const single = await face.encode({ input: sample.text, parameters });
        expect(single.items).toEqual([{ kind: 'text', ids: Uint32Array.from(sample.input_ids) }]);
        const [alone] = await run(single);
        expect(difference(alone!, sample)).toBeLessThan(tolerance);
        expect(difference(together[i]!, sample)).toBeLessThan(tolerance);
      }
    });
  },
);

test("the bundled models' own examples run, and unit length survives cut dimensions", async () => {
  await using('wordnet-topic', async (face, run) => {
    const { input } = face.card('http://localhost').example.request as { readonly input: unknown };
    const encoded = await face.encode({ input });
    const outputs = (await run(encoded)).map((output) => ({ output }));
    expect(face.present(encoded, outputs).output).toMatchObject([{ label: 'animal' }, ...Array(24).fill({})]);
  });
  await using('wordnet-embed', async (face, run) => {
    const { input } = face.card('http://localhost').example.request as { readonly input: unknown };
    const encoded = await face.encode({ input, parameters: { dimensions: 32 } });
    const outputs = (await run(encoded)).map((output) => ({ output }));
    const vectors = face.present(encoded, outputs).output as number[][];
    for (const vector of vectors) {
      expect(vector).toHaveLength(32);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
    }
  });
});

/** Reference values are float32; a tensor's numbers are compared one by one. */
function expectClose(actual: unknown, reference: unknown): void {
  const flat = (value: unknown): unknown[] => (Array.isArray(value) ? value.flat(9) : [value]);
  const numbers = (value: unknown) => flat(value).map(Number);
  expect(numbers(actual)).toHaveLength(flat(reference).length);
  for (const [i, value] of numbers(reference).entries()) expect(numbers(actual)[i]).toBeCloseTo(value, 5);
}

test('tensors of three types, of two callers in one batch, come out as PyTorch gives them', async () => {
  const { inputs, outputs } = fixture('exports/mixed.json') as Record<'inputs' | 'outputs', Record<string, unknown[]>>;
  const part = (tensors: Record<string, unknown[]>, from: number, to: number) => {
    return Object.fromEntries(Object.entries(tensors).map(([name, rows]) => [name, rows.slice(from, to)]));
  };
  await using('mixed-dynamo', async (face, run) => {
    const encoded = await face.encode({ input: [part(inputs, 0, 1), part(inputs, 1, 4)] });
    expect(encoded.tokens).toEqual([64, 192]);
    const results = (await run(encoded)).map((output) => ({ output }));
    const shown = face.present(encoded, results).output as Record<string, { type: string; data: unknown }>[];
    for (const [i, [from, to]] of [[0, 1] as const, [1, 4] as const].entries()) {
      for (const [name, rows] of Object.entries(part(outputs, from, to))) expectClose(shown[i]![name]!.data, rows);
    }
    expect(shown[1]!.twice).toEqual({ type: 'int64', shape: [3], data: ['2', '4', '6'] });
    expect(shown[1]!.positive).toEqual({ type: 'bool', shape: [3], data: [false, true, false] });
  });
});

test('a convolution exported by Keras takes nested lists and gives base64', async () => {
  const { input, output } = fixture('exports/keras-conv.json') as { readonly input: unknown; readonly output: unknown };
  await using('keras-conv', async (face, run) => {
    const name = face.model.inputs[0]!.name;
    const encoded = await face.encode({ input: { [name]: input }, parameters: { encoding: 'base64' } });
    const results = (await run(encoded)).map((result) => ({ output: result }));
    const shown = face.present(encoded, results).output as Record<string, { base64: string }>;
    const bytes = Buffer.from(Object.values(shown)[0]!.base64, 'base64');
    expectClose([...new Float32Array(new Uint8Array(bytes).buffer)], output);
  });
});

test.each(['mixed-dynamo', 'keras-conv'])("the example of %s's card runs", async (name) => {
  await using(name, async (face, run) => {
    const request = face.card('http://localhost').example.request as { readonly input: unknown };
    expect(await run(await face.encode(request))).toMatchObject([{ kind: 'tensors' }]);
  });
});
