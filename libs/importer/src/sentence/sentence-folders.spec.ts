/** Folders of sentence-transformers answer as it does itself: by the whole path of a job, each text alone and all in one batch. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { beforeAll, describe, expect, test } from 'vitest';
import { largestDifference, type Served, serve, valuesOf } from '../testing/served.js';

const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/checkpoints', import.meta.url));
/** The answers were written with six decimals. */
const TOLERANCE = 1e-5;

interface Case {
  readonly text: string;
  readonly text_pair?: string;
  readonly prompt_name?: string | null;
  readonly input_ids: readonly number[];
  readonly values: readonly number[];
  /** Before the activation, of cross-encoders. */
  readonly logits?: readonly number[];
}

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

function casesOf(name: string): readonly Case[] {
  const file = readFileSync(`${FIXTURES}/${name}/expected.json`, 'utf8');
  return (JSON.parse(file) as { readonly cases: readonly Case[] }).cases;
}

async function served<T>(name: string, use: (model: Served) => Promise<T>, dtype = 'fp32'): Promise<T> {
  const model = await serve(runtime, `${FIXTURES}/${name}`, dtype);
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}

const EMBEDDERS = [
  'st-dense-identity',
  'st-dense-tanh',
  'st-dense-two',
  'st-layer-norm',
  'st-lower-case',
  'st-max-length',
  'st-max-length-none',
  'st-max-length-tokenizer',
  'st-modernbert',
  'st-normalize-twice',
  'st-pool-cls',
  'st-pool-cls-mean',
  'st-pool-lasttoken',
  'st-pool-max',
  'st-pool-mean-max',
  'st-pool-mean-sqrt-len',
  'st-pool-weightedmean',
  'st-prompts',
  'st-prompts-excluded',
  'st-prompts-none-default',
  'st-saved',
  'st-truncate-left',
];

describe.each(EMBEDDERS)('%s', (name) => {
  test('answers as sentence-transformers does, by each prompt', async () => {
    await served(name, async ({ answer, model }) => {
      const all = casesOf(name);
      for (const prompt_name of new Set(all.map((sample) => sample.prompt_name))) {
        const cases = all.filter((sample) => sample.prompt_name === prompt_name);
        const parameters = { truncate: true, prompt_name };
        const together = await answer(
          cases.map(({ text }) => text),
          parameters,
        );
        expect(together.ids).toEqual(cases.map(({ input_ids }) => input_ids));
        for (const [n, { text, values }] of cases.entries()) {
          const alone = await answer(text, parameters);
          expect(largestDifference(valuesOf(alone.outputs[0]!), values)).toBeLessThan(TOLERANCE);
          expect(largestDifference(valuesOf(together.outputs[n]!), values)).toBeLessThan(TOLERANCE);
          expect(model.dimensions).toBe(values.length);
        }
      }
    });
  });
});
