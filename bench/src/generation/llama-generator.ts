/** node-llama-cpp: llama.cpp with as many sequences as texts, whose tokens it puts into one batch per step. */
import { getLlama, type Token } from 'node-llama-cpp';
import type { Generator, GeneratorOptions } from './generator.js';
import { CONTEXT } from './generator.js';

export async function llamaGenerator({ model, threads, rows }: GeneratorOptions): Promise<Generator> {
  const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, maxThreads: threads });
  const loaded = await llama.loadModel({ modelPath: model });
  // A context for each number of texts, since llama.cpp divides the room between sequences and computes with all of it.
  const contexts = new Map<number, Awaited<ReturnType<typeof loaded.createContext>>>();
  const contextOf = async (sequences: number) => {
    const context =
      contexts.get(sequences) ??
      (await loaded.createContext({ sequences, contextSize: CONTEXT / 4, batchSize: 512, threads }));
    contexts.set(sequences, context);
    return context;
  };
  return {
    async generate(prompts, tokens) {
      const context = await contextOf(Math.min(rows, prompts.length));
      return await Promise.all(
        prompts.map(async (prompt) => {
          const sequence = context.getSequence();
          const ids: number[] = [];
          const evaluated = sequence.evaluate(
            Array.from(prompt, (id) => id as Token),
            {
              temperature: 0,
              yieldEogToken: true,
            },
          );
          for await (const id of evaluated) if (ids.push(id) === tokens) break;
          await sequence.dispose();
          return ids;
        }),
      );
    },
  };
}
