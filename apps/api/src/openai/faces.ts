/** Which face of the API a path belongs to, and with that the shape of its errors; and what is told where nothing is. */
import type { ShoalError } from '@shoal/contracts';
import { messageOf } from './openai-error.js';

/** `native`: problem details. `openai`: OpenAI's shape. `texts`: that of text-embeddings-inference. */
export type Face = 'native' | 'openai' | 'texts';

const NATIVE = /^\/v1\/(jobs|webhook-endpoints|webhook-secret)(\/|$)/;
const TEXT_GENERATION = /^\/v1\/(chat|completions|responses|messages|assistants|threads)(\/|$)/;
const FILES = /^\/v1\/(files|uploads|batches)(\/|$)/;
/** What an OpenAI client asks for whose base URL lacks the `/v1`, or has it twice. */
const WRONG_BASE =
  /^(\/v1\/v1\/.*|\/(chat\/completions|completions|embeddings|models|responses|files|batches)(\/.*)?)$/;

/** By path alone: under `/v1` all but Shoal's own resources are OpenAI's. */
export function faceOf(path: string): Face {
  if (path === '/rerank') return 'texts';
  if (NATIVE.test(path)) return 'native';
  return /^\/v1(\/|$)|^\/v2\/rerank$/.test(path) || WRONG_BASE.test(path) ? 'openai' : 'native';
}

/** Whether a route takes calls, for which a key is needed where keys are configured. */
export function takesCalls(route: string | undefined): boolean {
  return route !== undefined && /^(\/v[12]\/|\/rerank$)/.test(route);
}

/** Why there is nothing at a path, and what there is instead. */
export function absenceOf(path: string): string {
  if (WRONG_BASE.test(path)) return `${NOTHING} The base URL of an OpenAI client ends with /v1, once.`;
  if (TEXT_GENERATION.test(path)) return `Text generation is not served yet. ${THERE_IS}`;
  if (FILES.test(path)) return `Files and batches are not served. ${MANY} ${THERE_IS}`;
  return faceOf(path) === 'openai' ? `${NOTHING} ${THERE_IS}` : `${NOTHING} GET /docs has every path.`;
}

const NOTHING = 'There is nothing at this path.';
const THERE_IS =
  'There are POST /v1/embeddings, POST /v1/rerank, GET /v1/models and, for every task, POST /v1/jobs; GET /docs has them all.';
const MANY = 'Many inputs at once go to POST /v1/jobs (as an array) or POST /v1/jobs/bulk.';

/** An error as text-embeddings-inference tells it. */
export interface TextsError {
  readonly error: string;
  readonly error_type: 'Validation' | 'Overloaded' | 'Backend' | 'Unhealthy';
}

export function textsErrorOf(error: ShoalError): TextsError {
  return { error: messageOf(error), error_type: typeOf(error.status) };
}

function typeOf(status: number): TextsError['error_type'] {
  if (status === 429) return 'Overloaded';
  if (status === 503) return 'Unhealthy';
  return status < 500 ? 'Validation' : 'Backend';
}
