/** What tests of the engine share: small language models with the answers of their checkpoints, requests, and a crowd of texts. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Savings } from '@shoal/contracts';
import { type DecoderInfo, readDecoderInfo } from '@shoal/models';
import { openRuntime, type Session } from '@shoal/onnxruntime';
import { Engine } from '../engine/engine.js';
import { unpackTokens } from '../engine/events.js';
import type { Finish, GenerationRequest, NewToken, Sampling } from '../types.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));

export const GREEDY: Sampling = {
  ...{ temperature: 0, topP: 1, topK: 0, minP: 0, frequencyPenalty: 0, presencePenalty: 0, repetitionPenalty: 1 },
  ...{ logitBias: [], seed: 0 },
};

/** A language model that comes with Shoal. */
export function modelPath(name: string): string {
  return `${ROOT}/models/${name}/1/onnx/model_int8.onnx`;
}

/** Prompts, of which there are sixteen. */
export function prompts(): readonly Uint32Array[] {
  const text = readFileSync(`${ROOT}/test/fixtures/wordnet-lm/reference.json`, 'utf8');
  const { greedy } = JSON.parse(text) as { greedy: readonly { readonly input_ids: readonly number[] }[] };
  return greedy.map(({ input_ids }) => Uint32Array.from(input_ids));
}

export interface Loaded {
  readonly session: Session;
  readonly info: DecoderInfo;
}

export async function loadModel(name: string): Promise<Loaded> {
  const path = modelPath(name);
  const runtime = await openRuntime();
  return { session: await runtime.createSession(path), info: readDecoderInfo(path)! };
}

export function engineOf({ session, info }: Loaded, rows: number, context = info.maxContext): Engine {
  return new Engine(session, info, { rows, context, budget: rows * context, now: () => performance.now() });
}

export function requestOf(id: number, prompt: Uint32Array, more: Partial<GenerationRequest> = {}): GenerationRequest {
  return {
    ...{ id, prompt, emitted: new Uint32Array(0), choice: 0, sampling: GREEDY, maxTokens: 24, minTokens: 0 },
    ...{
      stopIds: [],
      topLogprobs: null,
      promptLogprobs: false,
      order: id,
      rank: 2,
      alone: false,
      owner: 'a',
      cacheScope: 'a',
      prediction: null,
    },
    ...more,
  };
}

/** What came of requests. */
export class Outcome {
  readonly tokens = new Map<number, NewToken[]>();
  readonly prompts = new Map<number, NewToken[]>();
  readonly finished = new Map<number, Finish>();
  readonly savings = new Map<number, Savings>();
  readonly failed = new Map<number, string>();

  idsOf(request: number): number[] {
    return (this.tokens.get(request) ?? []).map(({ id }) => id);
  }
}

/** Steps until nothing is left to do; `between` may start and stop requests. */
export async function play(engine: Engine, outcome: Outcome, between: (step: number) => void = () => {}) {
  for (let step = 0; ; step++) {
    between(step);
    if (engine.idle) return;
    const { saved, prompts, tokens, ended } = await engine.step();
    for (const { request, ...savings } of saved) outcome.savings.set(request, savings);
    for (const [to, packed] of [
      [outcome.prompts, prompts],
      [outcome.tokens, tokens],
    ] as const) {
      for (const [id, list] of unpackTokens(packed)) to.set(id, [...(to.get(id) ?? []), ...list]);
    }
    for (const ending of ended) {
      if ('finish' in ending) outcome.finished.set(ending.request, ending.finish);
      else outcome.failed.set(ending.request, ending.error.code);
    }
  }
}
