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
    const texts = prompts.map((prompt) => [...prompt]);
    const ended = prompts.map(() => false);
    let latest = await process(passes, texts, { pasts: prompts.map(() => 0), chunk, before: prompts.map(() => 0) });
    for (let step = 1; ; step++) {
      yield latest.map((id, row) => (ended[row] ? undefined : id));
      texts.forEach((text, row) => {
        const id = latest[row]!;
        ended[row] ||= stopIds.includes(id) || text.length >= info.maxContext;
        if (!ended[row]) text.push(id);
      });
      if (step >= maxTokens || ended.every(Boolean)) return;
      const pasts = texts.map(({ length }, row) => {
        if (ended[row]) return length;
        return length - 1 === info.recomputedBeyond ? 0 : length - 1;
      });
      latest = await process(passes, texts, { pasts, chunk, before: latest });
    }
  } finally {
    await passes.release();
  }
}

interface Progress {
  /** Tokens of each text that are in the cache. */
  readonly pasts: readonly number[];
  /** Tokens of a text in one pass at most. */
  readonly chunk: number;
  /** What follows texts of which all is in the cache. */
  readonly before: readonly number[];
}

/** The token after each text. Those that have less to be processed than others wait beside their last passes. */
async function process(passes: DecoderPasses, texts: readonly (readonly number[])[], progress: Progress) {
  const { pasts, chunk, before } = progress;
  const most = Math.max(...texts.map(({ length }, row) => length - pasts[row]!));
  let found = before;
  for (let start = 0; start < most; start += chunk) {
    const rows = texts.map((text, row): NewTokens => {
      const past = Math.min(pasts[row]! + start, text.length);
      const ids = text.slice(past, past + chunk);
      const wanted = Number(ids.length > 0 && past + ids.length === text.length);
      return { past, ids, wanted, rotaryLength: text.length };
    });
    found = await likeliest(passes, rows, found);
  }
  return found;
}

/** The likeliest next token of the rows that want one; the others keep what they had. */
async function likeliest(passes: DecoderPasses, rows: readonly NewTokens[], before: readonly number[]) {
  const candidates = await passes.forward(rows);
  return candidates.map(([found], row) => (found === undefined ? before[row]! : Number(found.ids[0])));
}
