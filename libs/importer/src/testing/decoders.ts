/** What tests of decoders share: fixtures, models built from them, logits. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DecoderPasses, type GenerateOptions, generateGreedily, KvCache, type NewTokens } from '@shoal/generation';
import { type DecoderInfo, decoderInfoOf } from '@shoal/models';
import { type Model, serialiseModel } from '@shoal/onnx';
import type { Runtime, Session } from '@shoal/onnxruntime';
import { buildModel } from '../architectures/table.js';
import { openCheckpoint } from '../checkpoint.js';
import { float32 } from '../precision/float32.js';
import type { Precision } from '../precision/types.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));

export interface Loaded {
  readonly session: Session;
  readonly info: DecoderInfo;
}

/** Checkpoints of the family, with PyTorch's answers beside them. */
export const DECODERS = [
  ...['llama', 'llama-tied', 'llama-bias', 'llama-linear', 'llama-dynamic', 'llama-yarn', 'llama-llama3'],
  ...['mistral', 'qwen2', 'qwen3', 'gemma2', 'gemma3', 'gemma3-linear', 'gemma3-conditional'],
  ...['phi3', 'phi3-partial', 'phi3-longrope', 'olmo2', 'granite', 'smollm3', 'smollm3-layers'],
];

/** Those that have their config.json in the spelling of older versions of transformers too, as `config.hub.json`. */
export const OLD_SPELLINGS = [
  ...['gemma2', 'gemma3', 'gemma3-linear', 'phi3', 'phi3-longrope', 'olmo2', 'granite', 'smollm3'],
];

/** A text, the logits after it, and how PyTorch goes on greedily. */
export interface Case {
  readonly input_ids: readonly number[];
  readonly last_logits: readonly number[];
  readonly greedy_ids: readonly number[];
}

/** Tokens of `greedy_ids`. */
export const NEW_TOKENS = 20;

/** JSON of the repository. */
export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(pathOf(path), 'utf8')) as T;
}

export function pathOf(path: string): string {
  return `${ROOT}/${path}`;
}

/** Relative to the repository. */
export function checkpoint(name: string, file = ''): string {
  return `test/fixtures/checkpoints/${name}/${file}`;
}

export type Json = Readonly<Record<string, unknown>>;

export function configOf(name: string): Json {
  return readJson<Json>(checkpoint(name, 'config.json'));
}

/** A fixture's graph; `changes` are fields of its config.json. */
export function build(name: string, changes: Json = {}, precision: Precision = float32): Model {
  const opened = openCheckpoint(pathOf(checkpoint(name)));
  return buildModel({ config: { ...configOf(name), ...changes }, checkpoint: opened, precision });
}

/** A fixture, built with 32-bit floats; `edit` may change the model before it is loaded. */
export async function load(runtime: Runtime, name: string, edit: (model: Model) => void = () => {}): Promise<Loaded> {
  const model = build(name);
  edit(model);
  return { session: await runtime.createSession(serialiseModel(model)), info: decoderInfoOf(model)! };
}

export function casesOf(name: string): readonly Case[] {
  return readJson<{ cases: readonly Case[] }>(checkpoint(name, 'expected.json')).cases;
}

/** What `logitsOf` takes for the cases of a checkpoint. */
export function rowsOf(name: string): { readonly ids: readonly number[]; readonly rotaryLength: number }[] {
  // PyTorch computed the last logits after the greedy tokens, when its dynamic frequencies were those of the whole text:
  // it makes them anew only for longer texts, or for those that fit into the original context.
  const from = name === 'llama-dynamic' ? 48 : Number.POSITIVE_INFINITY;
  return casesOf(name).map(({ input_ids: ids }) => ({
    ids,
    rotaryLength: ids.length > from ? ids.length + NEW_TOKENS - 1 : ids.length,
  }));
}

/** The new tokens of each prompt's text. */
export async function generate(
  { session, info }: Loaded,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions,
): Promise<number[][]> {
  const texts: number[][] = prompts.map(() => []);
  for await (const ids of generateGreedily(session, info, prompts, options)) {
    ids.forEach((id, row) => {
      if (id !== undefined) texts[row]!.push(id);
    });
  }
  return texts;
}

/** The logits after each row, which is processed in passes of the given numbers of tokens. */
export async function logitsOf(
  { session, info }: Loaded,
  rows: readonly { readonly ids: readonly number[]; readonly rotaryLength: number }[],
  chunk: number,
): Promise<Float32Array[]> {
  const cache = new KvCache(session, info, { rows: rows.length, capacity: info.maxContext + chunk });
  const passes = new DecoderPasses(session, info, cache, { logits: true });
  const found: Float32Array[] = [];
  const longest = Math.max(...rows.map(({ ids }) => ids.length));
  for (let start = 0; start < longest; start += chunk) {
    const candidates = await passes.forward(
      rows.map(({ ids, rotaryLength }): NewTokens => {
        const part = ids.slice(start, start + chunk);
        const wanted = Number(part.length > 0 && start + part.length === ids.length);
        return { past: Math.min(start, ids.length), ids: part, wanted, rotaryLength };
      }),
    );
    candidates.forEach(([candidate], row) => {
      if (candidate?.logits) found[row] = candidate.logits.slice();
    });
  }
  await passes.release();
  return found;
}

/** The largest one. */
export function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.max(...Array.from({ length: Math.max(a.length, b.length) }, (_, i) => Math.abs(a[i]! - b[i]!)));
}
