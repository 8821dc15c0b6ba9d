/** Imported encoders by the whole path of a job: tokenizer, graph, pooling, score; in 32 bits, and in fewer. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { WireOutput } from '@shoal/contracts';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { beforeAll, describe, expect, test } from 'vitest';
import { ENCODERS } from '../testing/encoders.js';
import { largestDifference, type Served, serve, valuesOf } from '../testing/served.js';

const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/checkpoints', import.meta.url));
/** The answers were written with six decimals, of texts that were cut to as many tokens. */
const TOLERANCE = 1e-5;
const LONGEST = 64;
/** Of answers around 1, with small random weights. */
const NARROW: Readonly<Record<string, number>> = { fp16: 0.005, int8: 0.1 };

interface Case {
  readonly text: string;
  readonly text_pair?: string;
  readonly input_ids: readonly number[];
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

describe.each(ENCODERS)('%s', (name) => {
  const { cases } = JSON.parse(readFileSync(`${FIXTURES}/${name}/expected.json`, 'utf8')) as {
    readonly cases: readonly Case[];
  };

  test.each(['fp32', 'fp16', 'int8'])('answers as PyTorch does, as %s', async (dtype) => {
    const served = await serve(runtime, `${FIXTURES}/${name}`, dtype, { limits: { max_tokens: LONGEST } });
    const bound = NARROW[dtype] ?? TOLERANCE;
    try {
      for (const sample of cases) {
        const { outputs, ids } = await ask(served, sample);
        expect(ids).toEqual([sample.input_ids]);
        compare(outputs[0]!, sample, bound);
      }
    } finally {
      await served.close();
    }
  });
});

function ask({ answer, model: { task } }: Served, { text, text_pair: pair }: Case) {
  const input =
    task === 'rerank' ? { query: text, documents: [pair!] } : pair === undefined ? text : { text, text_pair: pair };
  const raw = { truncate: true };
  if (task === 'feature-extraction') return answer(input, { ...raw, pooling: 'none', normalize: false });
  if (task === 'token-classification')
    return answer(input, { ...raw, aggregation_strategy: 'none', ignore_labels: [] });
  return answer(input, { ...raw, function_to_apply: 'none' });
}

/** Of classes of tokens, the likeliest of each word's, with its probability. */
function compare(output: WireOutput, { shape, values }: Case, bound: number): void {
  if (output.kind !== 'entities') {
    expect(largestDifference(valuesOf(output), values)).toBeLessThan(bound);
    return;
  }
  const [tokens = 0, classes = 0] = shape;
  const best = Array.from({ length: tokens }, (_, token) => {
    const logits = values.slice(token * classes, (token + 1) * classes);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    return Math.max(...logits.map((logit) => Math.exp(logit) / total));
  });
  // Special tokens, first and last, are no words.
  const scores = output.entities.map(({ score }) => score);
  expect(scores.length).toBeGreaterThan(0);
  for (const score of scores) expect(Math.min(...best.map((own) => Math.abs(own - score)))).toBeLessThan(bound);
}
