/** Likelihoods are those of a model that reads one token at a time, whatever passes the text is cut into. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DecoderPasses, KvCache } from '@shoal/generation';
import { decoderInfoOf } from '@shoal/models';
import { serialiseModel } from '@shoal/onnx';
import { openRuntime } from '@shoal/onnxruntime';
import { expect, test } from 'vitest';
import { buildModel } from '../architectures/table.js';
import { openCheckpoint } from '../checkpoint.js';
import { precisionOf } from '../precision/dtype.js';
import { likelihoodOf } from './likelihood.js';
import { recallAt } from './recall.js';
import { ratesSideBySide } from './side-by-side.js';

const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/checkpoints', import.meta.url));

test.each(['llama', 'mistral', 'qwen3'])('%s', async (name) => {
  const folder = `${FIXTURES}/${name}`;
  const model = buildModel({
    config: JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')),
    checkpoint: openCheckpoint(folder),
    precision: precisionOf('fp32', 'decoder'),
  });
  const info = decoderInfoOf(model)!;
  const session = await (await openRuntime()).createSession(serialiseModel(model));
  // Longer than one pass, and than the model can read.
  const ids = Array.from({ length: info.maxContext + 9 }, (_, n) => (n * 7919 + 3) % info.vocabulary);
  const passes = new DecoderPasses(
    session,
    info,
    new KvCache(session, info, { rows: 1, capacity: info.maxContext + 1 }),
    {
      logits: true,
    },
  );
  let surprise = 0;
  const best: number[] = [];
  for (let past = 0; past < info.maxContext - 1; past++) {
    const [[next] = []] = await passes.forward([{ past, ids: [ids[past]!], wanted: 1, logSumExp: true }]);
    surprise += next!.logSumExp! - next!.logits![ids[past + 1]!]!;
    best.push(Number(next!.ids[0]));
  }
  await passes.release();
  const found = await likelihoodOf(session, info, ids);
  await session.release();
  expect(found.tokens).toBe(info.maxContext - 1);
  expect(found.surprise / found.tokens).toBeCloseTo(surprise / found.tokens, 4);
  expect([...found.best]).toEqual(best);
  // Worse than knowing nothing would be a fault of the sum, not of a random model.
  expect(found.surprise / found.tokens).toBeLessThan(2 * Math.log(info.vocabulary));
});

test('recall counts queries whose own document is among the most alike', () => {
  const documents = [
    [1, 0],
    [0.9, 0.1],
    [0, 1],
  ];
  const queries = [
    [1, 0],
    [1, 0],
    [1, 0],
  ];
  expect(recallAt(1, queries, documents)).toBeCloseTo(1 / 3);
  expect(recallAt(2, queries, documents)).toBeCloseTo(2 / 3);
  expect(recallAt(3, queries, documents)).toBe(1);
});

test('speeds are the best of rounds in which all take turns, the first round aside', async () => {
  let time = 0;
  const turns: string[] = [];
  const run = (name: string, costs: number[]) => async () => {
    turns.push(name);
    time += costs.shift()!;
    return 10;
  };
  const a = run('a', [1, 100, 200, 300, 50, 100, 100, 100, 100, 1e6]);
  const b = run('b', [1, 50, 50, 50, 9000, 25, 30, 30, 30, 30]);
  expect(await ratesSideBySide([a, b], () => time, new AbortController().signal)).toEqual([200, 400]);
  expect(turns.join('')).toBe('ab'.repeat(10));
});
