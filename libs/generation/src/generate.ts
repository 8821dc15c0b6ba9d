/** Greedy generation: the likeliest token at each step. The plain loop, with a fixed set of texts from beginning to end. */
import type { DecoderInfo } from '@shoal/models';
import type { Session } from '@shoal/onnxruntime';
import { KvCache } from './kv/cache.js';
import { DecoderPasses, type NewTokens } from './passes.js';

export interface GenerateOptions {
  /** New tokens of each text at most, the one that ends it included. The longest context limits them too. */
  readonly maxTokens: number;
  /** Any of these ends a text. Default: those that the model names. */
  readonly stopIds?: readonly number[];
  /** Tokens of a prompt that one pass processes. Default 128: larger ones gain little speed and take memory. */
  readonly chunk?: number;
}

/**
 * Yields, for each step, the new token of each prompt's text; undefined for those that have ended. Prompts have at least
 * one token.
 *
 * @throws ShoalError `inference_failed`
 */
export async function* generateGreedily(
  session: Session,
  info: DecoderInfo,
  prompts: readonly (readonly number[])[],
  { maxTokens, stopIds = info.eosTokenIds, chunk = 128 }: GenerateOptions,
): AsyncGenerator<readonly (number | undefined)[]> {
  // Behind the end of a row there must be room for the padding beside longer ones.
  const cache = new KvCache(session, info, { rows: prompts.length, capacity: info.maxContext + chunk });
  const passes = new DecoderPasses(session, info, cache);
  try {
    const lengths = prompts.map(({ length }) => length);
    const ended = prompts.map(() => false);
    let latest = await prefill(passes, prompts, chunk);
    for (let step = 1; ; step++) {
      yield latest.map((id, row) => (ended[row] ? undefined : id));
      latest.forEach((id, row) => {
        ended[row] ||= stopIds.includes(id) || lengths[row]! >= info.maxContext;
      });
      if (step >= maxTokens || ended.every(Boolean)) return;
      // A text that has ended stays in the batch: its last token is computed again, in the same place.
      const rows = latest.map((id, row) => ({ past: lengths[row]! - Number(ended[row]), ids: [id], wanted: 1 }));
      latest = await likeliest(passes, rows, latest);
      ended.forEach((over, row) => {
        if (!over) lengths[row]! += 1;
      });
    }
  } finally {
    await passes.release();
  }
}

/** The token after each prompt. Prompts shorter than others wait beside their last chunks. */
async function prefill(passes: DecoderPasses, prompts: readonly (readonly number[])[], chunk: number) {
  const longest = Math.max(...prompts.map(({ length }) => length));
  let first: readonly number[] = prompts.map(() => 0);
  for (let start = 0; start < longest; start += chunk) {
    const rows = prompts.map((prompt): NewTokens => {
      const ids = prompt.slice(start, start + chunk);
      const past = Math.min(start, prompt.length);
      const wanted = Number(ids.length > 0 && past + ids.length === prompt.length);
      return { past, ids, wanted, rotaryLength: prompt.length };
    });
    first = await likeliest(passes, rows, first);
  }
  return first;
}

/** The likeliest next token of the rows that want one; the others keep what they had. */
async function likeliest(passes: DecoderPasses, rows: readonly NewTokens[], before: readonly number[]) {
  const candidates = await passes.forward(rows);
  return candidates.map(([found], row) => (found === undefined ? before[row]! : Number(found.ids[0])));
}
