/** What chat and legacy completions have in common, and what each of them makes of an answer. */
import type { GeneratedText, GenerationSettings, JobMeta, JobRecord, WireLogprobs } from '@shoal/contracts';
import { LazyList, type TokenTexts } from '@shoal/models';
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
    model: meta.selector ?? meta.model,
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

/** What the answers of a job took, which is all that is kept of them. */
export class UsageCount {
  /** How many there are. */
  answers = 0;
  #completion = 0;
  #accepted = 0;
  #rejected = 0;
  /** By prompt: the least of its answers, for what one of them had to compute was not cached, though it was for the others. */
  readonly #cached = new Map<number, number>();
  readonly #record: JobRecord;

  constructor(record: JobRecord) {
    this.#record = record;
  }

  add(index: number, { ids, cachedTokens, accepted, rejected }: GeneratedText): void {
    const prompt = Math.floor(index / this.#choices);
    this.answers += 1;
    this.#completion += ids.length;
    this.#accepted += accepted;
    this.#rejected += rejected;
    this.#cached.set(prompt, Math.min(cachedTokens, this.#cached.get(prompt) ?? cachedTokens));
  }

  total(): TextUsage {
    const { tokens, meta } = this.#record;
    // Every answer is an item with the tokens of its prompt; a prompt counts once.
    const prompt_tokens = (meta.inputTokens ?? tokens) / this.#choices;
    return {
      prompt_tokens,
      completion_tokens: this.#completion,
      total_tokens: prompt_tokens + this.#completion,
      prompt_tokens_details: { cached_tokens: [...this.#cached.values()].reduce((sum, cached) => sum + cached, 0) },
      completion_tokens_details: {
        reasoning_tokens: 0,
        accepted_prediction_tokens: this.#accepted,
        rejected_prediction_tokens: this.#rejected,
      },
    };
  }

  get #choices(): number {
    return settingsOf(this.#record.meta).n;
  }
}

function usageOf(record: JobRecord, answers: readonly GeneratedText[]): TextUsage {
  const usage = new UsageCount(record);
  for (const [index, answer] of answers.entries()) usage.add(index, answer);
  return usage.total();
}

/** Of a job of this task that has completed. `texts`: of the version that ran it; undefined where that is no longer served. */
export function wholeAnswer(face: TextFace, record: JobRecord, texts: TokenTexts | undefined): object {
  const answers = record.results.map((result) => result?.output as GeneratedText);
  const settings = settingsOf(record.meta);
  return {
    ...headOf(face, record, 'whole'),
    choices: LazyList.of(answers.length, (index) => face.choice(index, answers[index]!, texts, settings)),
    usage: usageOf(record, answers),
  };
}
