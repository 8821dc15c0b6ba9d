/** The bundled encoders were imported from their checkpoints; they answer as the same checkpoints do in PyTorch's own export. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { WireOutput } from '@shoal/contracts';
import { createModelFace, loadRunner, openRepository } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import { expect, test } from 'vitest';

const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const TOLERANCE = 1e-4;
const BATCH = 25;

interface Exported {
  readonly shape: readonly [texts: number, values: number];
  /** Float32, little-endian. */
  readonly base64: string;
}

function expected(name: string): { readonly rows: readonly Float32Array[]; readonly texts: readonly string[] } {
  const { shape, base64 } = JSON.parse(readFileSync(path(`test/fixtures/${name}/exported.json`), 'utf8')) as Exported;
  const [count, width] = shape;
  const all = new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);
  const lines = readFileSync(path(`test/fixtures/${name}/eval.jsonl`), 'utf8')
    .split('\n')
    .slice(0, count);
  return {
    rows: Array.from({ length: count }, (_, n) => all.subarray(n * width, (n + 1) * width)),
    texts: lines.map((line) => {
      const { text, document } = JSON.parse(line) as { text?: string; document?: string };
      return text ?? document ?? '';
    }),
  };
}

/** Scores come best first, with their places. */
function valuesOf(output: WireOutput | Error): Float32Array {
  if (output instanceof Error) throw output;
  if (output.kind === 'vector') return output.values;
  if (output.kind !== 'scores') throw new Error(`unexpected ${output.kind}`);
  const values = new Float32Array(output.scores.length);
  for (const [n, index] of output.indices.entries()) values[index] = output.scores[n]!;
  return values;
}

test.each([
  ['wordnet-topic', { function_to_apply: 'none' }],
  ['wordnet-embed', {}],
])('%s answers as PyTorch’s export does on 200 texts, in padded batches', async (name, parameters) => {
  const { rows, texts } = expected(name);
  expect(rows).toHaveLength(200);
  const model = (await openRepository(path('models'))).models.find((found) => found.name === name)!;
  const runtime = await openRuntime();
  const runner = loadRunner(model, await runtime.createSession(model.variants[model.variant]!), {
    rows: 'any-length',
    reason: null,
  });
  try {
    const encoded = await (await createModelFace(model)).encode({ input: texts, parameters });
    for (let start = 0; start < texts.length; start += BATCH) {
      const items = encoded.items.slice(start, start + BATCH);
      const outputs = await runner.run(items.map((item) => ({ item, parameters: encoded.parameters })));
      for (const [n, output] of outputs.entries()) {
        const [values, reference] = [valuesOf(output), rows[start + n]!];
        const difference = values.reduce((most, value, i) => Math.max(most, Math.abs(value - reference[i]!)), 0);
        expect(values).toHaveLength(reference.length);
        expect(difference).toBeLessThan(TOLERANCE);
      }
    }
  } finally {
    await runner.close();
  }
});

test('what generates text is bundled too', async () => {
  const { models, problems } = await openRepository(path('models'));
  expect(models.flatMap(({ name, generator }) => (generator ? [name] : []))).toEqual([
    'wordnet-lm',
    'wordnet-lm-draft',
  ]);
  expect(problems).toEqual([]);
});
