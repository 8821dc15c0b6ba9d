/** One attempt to deliver a message: judge the destination again, sign, send. */
import type { AllowList } from './allow-list.js';
import { parseDestination, type Resolve, resolveDestination } from './destination.js';
import { type Answer, post } from './post.js';
import { signatureOf } from './signature.js';

/** Time in ms of one attempt, name resolution and answer included (Standard Webhooks: 15 to 30 s). */
export const ATTEMPT_TIMEOUT_MS = 15_000;

export interface Outgoing {
  readonly url: string;
  /** The same over all attempts. */
  readonly id: string;
  readonly body: Buffer;
  /** Plain, the newest first; each one signs. */
  readonly secrets: readonly string[];
}

export interface Sender {
  readonly resolve: Resolve;
  readonly allow: AllowList;
  readonly timeoutMs: number;
  /** Unix ms. */
  readonly clock: () => number;
}

/** Never rejects: a refused destination is an answer too. */
export async function send({ url, id, body, secrets }: Outgoing, sender: Sender): Promise<Answer> {
  const { resolve, allow, timeoutMs, clock } = sender;
  const timestamp = Math.floor(clock() / 1000);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  try {
    const destination = parseDestination(url, allow);
    const addresses = await resolveInTime(resolveDestination(destination, resolve, allow), late.signal);
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'Shoal-Webhooks/1',
      connection: 'close',
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signatureOf({ id, timestamp, body }, secrets),
    };
    return await post({ destination, addresses, headers, body, signal: late.signal, clock });
  } catch {
    const error = late.signal.aborted ? 'timeout' : 'destination_not_allowed';
    return { status: null, error, retryAfterMs: null, body: '' };
  } finally {
    clearTimeout(timer);
  }
}

function resolveInTime<T>(resolved: Promise<T>, late: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    late.addEventListener('abort', () => reject(new Error('late')), { once: true });
    resolved.then(resolve, reject);
  });
}

/** What the sender's schedule and the endpoint's health make of an answer. */
export function outcomeOf({ status, error }: Answer): 'delivered' | 'failed' | 'throttled' | 'gone' {
  if (status !== null && status >= 200 && status < 300) return 'delivered';
  if (status === 410) return 'gone';
  return status === 429 || error === 'timeout' ? 'throttled' : 'failed';
}
