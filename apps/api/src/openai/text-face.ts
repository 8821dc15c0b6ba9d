/** What chat and legacy completions have in common, and what each of them makes of an answer. */
import type { GeneratedText, GenerationSettings, JobMeta, JobRecord, WireLogprobs } from '@shoal/contracts';
import type { TokenTexts } from '@shoal/models';
import type { LikelyTokens } from './token-texts.js';

export type Finish = GeneratedText['finish'];

/** What the call took, as OpenAI counts it. */
export interface TextUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  readonly completion_tokens_details: {
    readonly reasoning_tokens: number;
    readonly accepted_prediction_tokens: number;
    readonly rejected_prediction_tokens: number;
  };
}

/** A part of an answer, behind what was told before. */
export interface Growth {
  readonly text: string;
  readonly ids: Uint32Array;
  readonly logprobs?: WireLogprobs | undefined;
  /** Characters (code points) of the answer before it. */
  readonly offset: number;
}

/** One of the two: names and forms. */
export interface TextFace {
  /** Of ids, before that of the job. */
  readonly prefix: string;
  readonly path: string;
  readonly object: string;
  readonly chunkObject: string;
  readonly deletedObject: string;
  /** Of a whole answer. */
  choice(
    index: number,
    answer: GeneratedText,
    texts: TokenTexts | undefined,
    settings: Pick<GenerationSettings, 'skip_special_tokens'>,
  ): object;
  /** What a stream tells of each answer before anything else; null: nothing. */
  opening(index: number): object | null;
  growth(index: number, growth: Growth, texts: TokenTexts | undefined): object;
  ending(index: number, answer: GeneratedText): object;
}

/** What is the same in every event of a stream, and in the whole answer. */
export function headOf(face: TextFace, { id, createdAt, meta }: JobRecord, kind: 'whole' | 'chunk') {
  return {
    id: face.prefix + id,
    object: kind === 'whole' ? face.object : face.chunkObject,
    created: Math.floor(createdAt / 1000),
    model: meta.model,
    system_fingerprint: `${meta.version}-${meta.variant}`,
  };
}

/** Of a job of this task. */
export function settingsOf(meta: JobMeta): GenerationSettings {
  return meta.parameters as unknown as GenerationSettings;
}

/** Null where log probabilities were not asked for, or the tokenizer is not there any more. */
export function likelyOf({ ids, logprobs }: Pick<Growth, 'ids' | 'logprobs'>): LikelyTokens | null {
  return logprobs === undefined ? null : { ids, logprobs };
}

export function usageOf({ tokens, meta }: JobRecord, answers: readonly GeneratedText[]): TextUsage {
  // Every answer is an item with the tokens of its prompt; a prompt counts once.
  const promptTokens = (meta.inputTokens ?? tokens) / settingsOf(meta).n;
  const sum = (count: (answer: GeneratedText) => number) => answers.reduce((total, answer) => total + count(answer), 0);
  const made = sum(({ ids }) => ids.length);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: made,
    total_tokens: promptTokens + made,
    prompt_tokens_details: { cached_tokens: sum(({ cachedTokens }) => cachedTokens) },
    completion_tokens_details: {
      reasoning_tokens: 0,
      accepted_prediction_tokens: sum(({ accepted }) => accepted),
      rejected_prediction_tokens: sum(({ rejected }) => rejected),
    },
  };
}
