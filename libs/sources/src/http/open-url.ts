/** A file over HTTP, from any place in it (RFC 9110, sections 13.1.5, 14 and 15.3.7). */
import type { IncomingHttpHeaders } from 'node:http';
import { NoSuchPart, PassingFault, unavailable } from '../faults.js';
import type { Opened, OpenRequest } from '../source-file.js';
import { type Answer, type GetContext, type GetRequest, get } from './get.js';
import { shown } from './shown.js';
import { validatorOf } from './validator.js';

/** What an answer of 400 or above means; undefined: what it says by itself. */
export type Explain = (answer: Answer) => Error | undefined;

/**
 * Asks for the file from `from` on.
 *
 * @throws PassingFault, NoSuchPart; ShoalError `source_unavailable`; the signal's reason
 */
export async function openUrl(
  request: GetRequest,
  { from, validator }: Pick<OpenRequest, 'from' | 'validator'>,
  context: GetContext,
  explain: Explain = () => undefined,
): Promise<Opened> {
  const part = from === 0 ? {} : { range: `bytes=${from}-`, ...(validator !== undefined && { 'if-range': validator }) };
  const answer = await get({ ...request, headers: { ...request.headers, ...part } }, context);
  try {
    return readHead(answer, request.url, from, explain);
  } catch (error) {
    answer.body.destroy();
    throw error;
  }
}

function readHead(answer: Answer, asked: URL, from: number, explain: Explain): Opened {
  const { status, headers, body } = answer;
  if (status === 416 && from > 0) throw new NoSuchPart('does not have the rest of what is here');
  if (status !== 200 && status !== 206) throw explain(answer) ?? refusal(asked, answer);
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
    throw unavailable(`${shown(asked)} comes in an encoding (${headers['content-encoding']}) that was not asked for.`);
  }
  const { start, size } = status === 206 ? rangeOf(headers) : { start: 0, size: lengthOf(headers) };
  if (start !== 0 && start !== from) throw new NoSuchPart('answers with another part than it was asked for');
  return { start, size, validator: validatorOf(headers), body };
}

function lengthOf(headers: IncomingHttpHeaders): number | undefined {
  const length = Number(headers['content-length'] ?? Number.NaN);
  return Number.isSafeInteger(length) ? length : undefined;
}

/** Of `bytes 5-9/10`. */
function rangeOf(headers: IncomingHttpHeaders): { readonly start: number; readonly size: number | undefined } {
  const [, first, , size] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(headers['content-range'] ?? '') ?? [];
  if (first === undefined) throw new NoSuchPart('answers with a part and does not say which');
  return { start: Number(first), size: Number(size) };
}

/** What an answer that is no success says by itself. */
export function refusal(asked: URL, answer: Answer): Error {
  const passing = passingFault(answer);
  if (passing !== undefined) return passing;
  const { status } = answer;
  if (status === 401 || status === 403) {
    return unavailable(`${shown(asked)} answers ${status}: it may not be read without credentials, or not any more.`);
  }
  if (status === 404 || status === 410)
    return unavailable(`${shown(asked)} answers ${status}: there is nothing there.`);
  return unavailable(`${shown(asked)} answers ${status}.`);
}

/** Of a server that may be itself again soon. */
export function passingFault({ status, headers }: Pick<Answer, 'status' | 'headers'>): PassingFault | undefined {
  if (status !== 408 && status !== 425 && status !== 429 && status < 500) return undefined;
  const seconds = Number(/^\d{1,6}$/.exec(headers['retry-after'] ?? '')?.[0] ?? Number.NaN);
  return new PassingFault(`answers ${status}`, Number.isNaN(seconds) ? undefined : seconds * 1000);
}
