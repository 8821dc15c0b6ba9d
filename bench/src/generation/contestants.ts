/** Contestants of the generation benchmark: each in a process of its own, asked one at a time. */
import { type Running, startProcess } from '../processes.js';
import type { GenerateAnswer, GenerateOrder, GeneratorKind } from './generator-process.js';

export type Texts = Extract<GenerateAnswer, { readonly texts: unknown }>;

export interface Contestant extends Running {
  readonly generate: (order: GenerateOrder) => Promise<Texts>;
}

export interface ContestantOptions {
  readonly kind: GeneratorKind;
  readonly model: string;
  readonly threads: number;
  readonly rows: number;
}

export async function startContestant({ kind, model, threads, rows }: ContestantOptions): Promise<Contestant> {
  const { child, running } = await startProcess({
    script: 'bench/dist/generation/generator-process.js',
    args: [kind, model, String(threads), String(rows)],
    ready: 'generator.ready',
  });
  return {
    ...running,
    generate: (order) =>
      new Promise((resolve, reject) => {
        const onExit = () => reject(new Error(`${kind} has ended`));
        child.once('exit', onExit);
        child.once('message', (answer: GenerateAnswer) => {
          child.off('exit', onExit);
          if ('error' in answer) reject(new Error(`${kind}: ${answer.error}`));
          else resolve(answer);
        });
        child.send(order);
      }),
  };
}
