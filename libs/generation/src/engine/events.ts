/** What a step of the engine has to tell, packed so that it crosses to another thread as a few arrays. */
import type { ErrorCode, Savings } from '@shoal/contracts';
import type { Finish, NewToken } from '../types.js';

/** Tokens of requests in the order in which they were chosen; the alternatives of all lie behind one another. */
export interface PackedTokens {
  readonly requests: Float64Array;
  readonly ids: Uint32Array;
  readonly logprobs: Float32Array;
  readonly alternatives: Uint8Array;
  readonly topIds: Uint32Array;
  readonly topValues: Float32Array;
}

export type Ending =
  | { readonly request: number; readonly finish: Finish }
  | { readonly request: number; readonly error: { readonly code: ErrorCode; readonly detail: string } };

/** Of a request so far, here; where it has changed. */
export type Saved = Savings & { readonly request: number };

export interface StepEvents {
  readonly saved: readonly Saved[];
  /** How likely the tokens of prompts were, where it was asked; the first of a prompt follows nothing and is left out. */
  readonly prompts: PackedTokens;
  readonly tokens: PackedTokens;
  readonly ended: readonly Ending[];
}

export interface RequestToken {
  readonly request: number;
  readonly token: NewToken;
}

export function packTokens(tokens: readonly RequestToken[]): PackedTokens {
  const tops = tokens.reduce((sum, { token }) => sum + token.topIds.length, 0);
  const packed = {
    requests: Float64Array.from(tokens, ({ request }) => request),
    ids: Uint32Array.from(tokens, ({ token }) => token.id),
    logprobs: Float32Array.from(tokens, ({ token }) => token.logprob),
    alternatives: Uint8Array.from(tokens, ({ token }) => token.topIds.length),
    topIds: new Uint32Array(tops),
    topValues: new Float32Array(tops),
  };
  let at = 0;
  for (const { token } of tokens) {
    packed.topIds.set(token.topIds, at);
    packed.topValues.set(token.topValues, at);
    at += token.topIds.length;
  }
  return packed;
}

/** Tokens by request. */
export function unpackTokens(packed: PackedTokens): Map<number, NewToken[]> {
  const found = new Map<number, NewToken[]>();
  let at = 0;
  packed.requests.forEach((request, n) => {
    const end = at + packed.alternatives[n]!;
    const token: NewToken = {
      id: packed.ids[n]!,
      logprob: packed.logprobs[n]!,
      topIds: packed.topIds.subarray(at, end),
      topValues: packed.topValues.subarray(at, end),
    };
    at = end;
    const tokens = found.get(request);
    if (tokens === undefined) found.set(request, [token]);
    else tokens.push(token);
  });
  return found;
}
