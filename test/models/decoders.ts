/** What tests of published language models share: an imported one beside the answers of transformers and llama.cpp. */
import { readFileSync } from 'node:fs';
import { DecoderPasses, generateGreedily, KvCache } from '@shoal/generation';
import { type Model, readDecoderInfo } from '@shoal/models';
import type { Runtime } from '@shoal/onnxruntime';

/** One text, what transformers finds likely after it, and how it goes on greedily. */
export interface Case {
  readonly prompt: string;
  readonly input_ids: readonly number[];
  readonly top_ids: readonly number[];
  readonly top_logits: readonly number[];
  readonly greedy_ids: readonly number[];
  /** The text that llama.cpp goes on with. */
  readonly llama_cpp: string;
}

export interface Expected {
  readonly ids: readonly number[];
  readonly text: string;
  readonly perplexity: number;
  readonly cases: readonly Case[];
}

export function expectedOf<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`expected/${name}.json`, import.meta.url), 'utf8')) as T;
}

/** Tokens of the longest pass, for which there must be room behind the longest context. */
const LONGEST_PASS = 256;

export interface Measured {
  /** Largest difference of the five likeliest logits. */
  readonly logits: number;
  readonly perplexity: number;
  /** New tokens of each case. */
  readonly greedy: readonly number[][];
}

/** One variant of a model on all cases, each alone. */
export async function measure(
  runtime: Runtime,
  model: Model,
  { ids, cases }: Expected,
  newTokens: number,
): Promise<Measured> {
  const path = model.variants[model.variant]!;
  const info = readDecoderInfo(path)!;
  const session = await runtime.createSession(path);
  const cache = new KvCache(session, info, { rows: 1, capacity: info.maxContext + LONGEST_PASS });
  const passes = new DecoderPasses(session, info, cache, { logits: true });
  let logits = 0;
  for (const { input_ids, top_ids, top_logits } of cases) {
    const [[next] = []] = await passes.forward([{ past: 0, ids: input_ids, wanted: 1 }]);
    top_ids.forEach((id, n) => {
      logits = Math.max(logits, Math.abs(next!.logits![id]! - top_logits[n]!));
    });
  }
  const [all = []] = await passes.forward([{ past: 0, ids, wanted: ids.length, logSumExp: true }]);
  const surprise = all
    .slice(0, -1)
    .reduce((sum, found, n) => sum + logSumExp(found.logits!) - found.logits![ids[n + 1]!]!, 0);
  await passes.release();
  const greedy: number[][] = [];
  for (const { input_ids } of cases) {
    const text: number[] = [];
    const options = { maxTokens: newTokens, stopIds: [], chunk: 64 };
    for await (const [id] of generateGreedily(session, info, [input_ids], options)) text.push(id!);
    greedy.push(text);
  }
  await session.release();
  return { logits, perplexity: Math.exp(surprise / (ids.length - 1)), greedy };
}

function logSumExp(logits: Float32Array): number {
  const most = logits.reduce((a, b) => Math.max(a, b));
  return most + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
}
