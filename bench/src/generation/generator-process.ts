/** A contestant in a process of its own: its kind, its model, threads, and texts at once. */
import { engineGenerator } from './engine-generator.js';
import type { Generator, GeneratorOptions } from './generator.js';

export type GeneratorKind = 'engine' | 'ort-node' | 'ort-node-in-place' | 'transformers' | 'llama';

export interface GenerateOrder {
  readonly prompts: readonly (readonly number[])[];
  readonly tokens: number;
}

export type GenerateAnswer =
  | { readonly texts: readonly (readonly number[])[]; readonly passes?: number; readonly beside?: number }
  | { readonly error: string };

/** Peers are loaded only where they compete, since not each of them runs everywhere. */
const OPEN: Readonly<Record<GeneratorKind, (options: GeneratorOptions) => Promise<Generator>>> = {
  engine: engineGenerator,
  'ort-node': async (options) => (await import('./ort-node-generator.js')).ortNodeGenerator(options, false),
  'ort-node-in-place': async (options) => (await import('./ort-node-generator.js')).ortNodeGenerator(options, true),
  transformers: async (options) => (await import('./transformers-generator.js')).transformersGenerator(options),
  llama: async (options) => (await import('./llama-generator.js')).llamaGenerator(options),
};

const [kind, model = '', threads, rows] = process.argv.slice(2);
process.once('disconnect', () => process.exit(0));
const generator = await OPEN[kind as GeneratorKind]({ model, threads: Number(threads), rows: Number(rows) });

process.on('message', ({ prompts, tokens }: GenerateOrder) => {
  void generator
    .generate(
      prompts.map((ids) => Uint32Array.from(ids)),
      tokens,
    )
    .then((texts): GenerateAnswer => ({ texts, ...generator.seconds?.() }))
    .catch((error: unknown): GenerateAnswer => ({ error: String(error) }))
    .then((answer) => process.send?.(answer));
});
console.log('generator.ready');
