/** The engine that serves texts generates with every architecture as PyTorch does, many texts at once. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GenerationEngine, type GenerationRequest, type NewToken } from '@shoal/generation';
import { serialiseModel } from '@shoal/onnx';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { build, casesOf, configOf, DECODERS, type Json, NEW_TOKENS } from '../testing/decoders.js';

const folder = mkdtempSync(join(tmpdir(), 'decoders-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function open(name: string, changes: Readonly<Record<string, unknown>> = {}): Promise<GenerationEngine> {
  const modelPath = join(folder, `${name}.onnx`);
  writeFileSync(modelPath, serialiseModel(build(name, changes)));
  return await GenerationEngine.open({ modelPath, threads: 1, memoryLimit: 4 * 2 ** 30, rows: 4 });
}

let lastId = 0;

function generate(engine: GenerationEngine, prompt: readonly number[], more: Partial<GenerationRequest> = {}) {
  const id = ++lastId;
  const sampling = {
    ...{ temperature: 0, topP: 1, topK: 0, minP: 0, frequencyPenalty: 0, presencePenalty: 0, repetitionPenalty: 1 },
    ...{ logitBias: [], seed: 0 },
  };
  const request: GenerationRequest = {
    ...{ id, prompt: Uint32Array.from(prompt), emitted: new Uint32Array(0), choice: 0, sampling, stopIds: [] },
    ...{ maxTokens: NEW_TOKENS, minTokens: 0, topLogprobs: null, promptLogprobs: false, order: id, rank: 0 },
    ...{ alone: false, owner: 'a', cacheScope: 'a', prediction: null },
    ...more,
  };
  const tokens: NewToken[] = [];
  return new Promise<NewToken[]>((resolve, reject) => {
    engine.start(request, {
      saved: () => {},
      prompt: () => {},
      tokens: (some) => tokens.push(...some),
      ended: () => resolve(tokens),
      failed: reject,
    });
  });
}

const idsOf = (texts: readonly (readonly NewToken[])[]) => texts.map((tokens) => tokens.map(({ id }) => id));

describe.each(DECODERS)('%s', (name) => {
  const cases = casesOf(name);
  let engine: GenerationEngine;
  beforeAll(async () => {
    engine = await open(name);
  });
  afterAll(() => engine.close());

  test('texts at once, and again behind themselves, go on as PyTorch does', async () => {
    const expected = cases.map(({ greedy_ids }) => greedy_ids);
    for (let time = 0; time < 2; time++) {
      const texts = await Promise.all(cases.map(({ input_ids }) => generate(engine, input_ids)));
      expect(idsOf(texts)).toEqual(expected);
    }
  });

  test('a text that was begun elsewhere goes on as it would have there', async () => {
    for (const { input_ids, greedy_ids } of cases) {
      const emitted = Uint32Array.from(greedy_ids.slice(0, 12));
      expect(idsOf([await generate(engine, input_ids, { emitted })])).toEqual([greedy_ids.slice(12)]);
    }
  });
});

const NAME = 'phi3-longrope';

describe('where longrope changes its factors', () => {
  const text = casesOf(NAME).flatMap(({ input_ids, greedy_ids }) => [...input_ids, ...greedy_ids]);
  const likely = { topLogprobs: 5 };

  test('what was computed with others is not taken over', async () => {
    const bound = 100;
    const rope = { ...(configOf(NAME).rope_parameters as Json), original_max_position_embeddings: bound };
    const changes = { original_max_position_embeddings: bound, rope_parameters: rope };
    const [short, long] = [text.slice(0, 80), text.slice(0, bound + 10)];
    // Each has 64 tokens in common with what is there already, computed with the other factors.
    for (const [before, next] of [
      [short, long],
      [long, short],
    ] as const) {
      const [fresh, used] = [await open(NAME, changes), await open(NAME, changes)];
      await generate(used, before);
      expect(await generate(used, next, likely)).toEqual(await generate(fresh, next, likely));
      for (const engine of [fresh, used]) await engine.close();
    }
  });

  test('proposals change nothing, and a text is the same with and without a worker that ended', async () => {
    const { input_ids, greedy_ids } = casesOf(NAME)[3]!;
    expect(input_ids.length).toBeLessThan(48);
    expect(input_ids.length + greedy_ids.length).toBeGreaterThan(48);
    const engine = await open(NAME);
    const prediction = Uint32Array.from(greedy_ids);
    expect(idsOf([await generate(engine, input_ids, { prediction })])).toEqual([greedy_ids]);
    await engine.close();
    const [first, second] = [await open(NAME), await open(NAME)];
    const whole = await generate(first, input_ids, likely);
    for (const made of [4, 8, 9, 15]) {
      const emitted = Uint32Array.from(greedy_ids.slice(0, made));
      const rest = await generate(second, input_ids, { ...likely, emitted });
      expect(rest).toEqual(whole.slice(made));
    }
    for (const one of [first, second]) await one.close();
  });
});
