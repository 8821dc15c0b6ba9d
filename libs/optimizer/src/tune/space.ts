/** What can be set for a model on a CPU, so that a worker does it: see encoderSession and decoderSession, and limits of micro-batches. */
import type { Factor, Space } from './setting.js';

/** Of the session of a model, whatever it does. */
export type SessionSetting = {
  readonly threads: number;
  readonly spinning: boolean;
  readonly flashAttention: boolean;
  readonly cpuArena: boolean;
};

export type EncoderSetting = SessionSetting & {
  readonly maxBatchTokens: number;
  readonly passTokens: number;
};

export interface SessionFacts {
  readonly cores: number;
  /** Whether the graph has a kernel that attention may be computed with in two ways. */
  readonly twoAttentions: boolean;
}

export interface EncoderFacts extends SessionFacts {
  /** What a worker does by itself. */
  readonly defaults: EncoderSetting;
  /** What a micro-batch must have room for: the longest text. */
  readonly maxLength: number;
  /** What takes too long, in tokens. */
  readonly mostTokens: number;
  /** False where shoal.json says the limit, or rows are run alone. */
  readonly limitIsFree: boolean;
  /** Whether texts of several lengths may be in one batch. */
  readonly anyLength: boolean;
}

export function encoderSpace(facts: EncoderFacts): Space<EncoderSetting> {
  const { defaults, limitIsFree, anyLength, maxLength, mostTokens } = facts;
  const { maxBatchTokens: limit, passTokens: padding } = defaults;
  const limits = [limit / 4, limit / 2, limit, 2 * limit]
    .map(Math.round)
    .filter((tokens) => tokens === limit || (tokens >= maxLength && tokens <= mostTokens));
  const paddings = [padding / 2, padding, 2 * padding].map((tokens) => Math.max(1, Math.round(tokens)));
  const { threads, attention, memory } = sessionFactors(facts, defaults);
  const factors: readonly Factor<EncoderSetting>[] = [
    threads,
    attention,
    ...(limitIsFree
      ? [{ name: 'tokens of a batch', options: limits.map((maxBatchTokens) => ({ maxBatchTokens })) }]
      : []),
    ...(limitIsFree && anyLength
      ? [{ name: 'padding', options: [...new Set(paddings)].map((passTokens) => ({ passTokens })) }]
      : []),
    memory,
  ];
  return { defaults, factors: factors.filter(isChoice) };
}

export function decoderSpace(facts: SessionFacts, defaults: SessionSetting): Space<SessionSetting> {
  const { threads, attention, memory } = sessionFactors(facts, defaults);
  return { defaults, factors: [threads, attention, memory].filter(isChoice) };
}

function isChoice({ options }: { readonly options: readonly unknown[] }): boolean {
  return options.length > 1;
}

function sessionFactors({ cores, twoAttentions }: SessionFacts, { spinning }: SessionSetting) {
  const threads: Factor<SessionSetting> = {
    name: 'threads',
    // One thread waits for nobody.
    options: threadCounts(cores).flatMap((count) =>
      count === 1 ? [{ threads: 1, spinning }] : [true, false].map((spins) => ({ threads: count, spinning: spins })),
    ),
  };
  const attention: Factor<SessionSetting> = {
    name: 'attention',
    options: twoAttentions ? [{ flashAttention: false }, { flashAttention: true }] : [],
  };
  const memory: Factor<SessionSetting> = { name: 'memory', options: [{ cpuArena: true }, { cpuArena: false }] };
  return { threads, attention, memory };
}

/** All up to 4, from there on by a third to a half more; all cores in any case. */
export function threadCounts(cores: number): number[] {
  const steps = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024];
  return [...steps.filter((count) => count < cores), Math.min(cores, steps.at(-1)!)];
}
