/** Shoal's engine alone. */
import { totalmem } from 'node:os';
import { GenerationEngine, type GenerationRequest, type Sampling } from '@shoal/generation';
import type { Generator, GeneratorOptions } from './generator.js';

export const GREEDY: Sampling = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  frequencyPenalty: 0,
  presencePenalty: 0,
  repetitionPenalty: 1,
  logitBias: [],
  seed: 0,
};

export async function openEngine({ model, threads, rows }: GeneratorOptions): Promise<GenerationEngine> {
  return await GenerationEngine.open({ modelPath: model, threads, rows, memoryLimit: totalmem() / 2 });
}

/** A greedy text that no token ends. */
export function requestOf(id: number, prompt: Uint32Array, maxTokens: number): GenerationRequest {
  return {
    id,
    prompt,
    maxTokens,
    emitted: new Uint32Array(0),
    choice: 0,
    sampling: GREEDY,
    minTokens: 0,
    stopIds: [],
    topLogprobs: null,
    promptLogprobs: false,
    rank: 2,
    order: id,
    alone: false,
    owner: 'bench',
    cacheScope: 'bench',
    prediction: null,
  };
}

export async function engineGenerator(options: GeneratorOptions): Promise<Generator> {
  const engine = await openEngine(options);
  let next = 0;
  return {
    generate: (prompts, tokens) =>
      Promise.all(
        prompts.map(async (prompt) => {
          const ids: number[] = [];
          await new Promise((resolve, reject) => {
            engine.start(requestOf(next++, prompt, tokens), {
              saved: () => {},
              prompt: () => {},
              tokens: (some) => ids.push(...some.map(({ id }) => id)),
              ended: resolve,
              failed: reject,
            });
          });
          return ids;
        }),
      ),
    seconds() {
      const { passSeconds, otherSeconds } = engine.stats();
      return { passes: passSeconds, beside: otherSeconds };
    },
  };
}
