/** What every contestant of the generation benchmark can do: go on with prompts greedily, all at once. */

/** Goes on with each prompt by `tokens` tokens, whatever they are, and resolves to them. */
export type Generate = (prompts: readonly Uint32Array[], tokens: number) => Promise<readonly (readonly number[])[]>;

export interface Generator {
  readonly generate: Generate;
  /** Seconds of all steps so far, in passes of the model and beside them; only of Shoal's engine. */
  readonly seconds?: () => { readonly passes: number; readonly beside: number };
}

export interface GeneratorOptions {
  /** An ONNX or GGUF file, or a folder of transformers.js. */
  readonly model: string;
  readonly threads: number;
  /** Texts at once at most. */
  readonly rows: number;
}

/** Of prompt and answer together; all contestants have room for so many. */
export const CONTEXT = 2048;
