/** One attempt to deliver a message: judge the destination again, sign, send. */
import { ShoalError } from '@shoal/contracts';
import type { AllowList, Dial } from '@shoal/network';
import { parseDestination, type Resolve, resolveDestination } from './destination.js';
import { type Answer, noAnswer, post } from './post.js';
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
  /** How addresses are connected to; by TCP where left out. */
  readonly dial?: Dial;
}

/** Never rejects: a refused destination is an answer too. Nothing is sent that no secret signs. */
export async function send({ url, id, body, secrets }: Outgoing, sender: Sender): Promise<Answer> {
  const { resolve, allow, timeoutMs, clock, dial } = sender;
  if (secrets.length === 0) return noAnswer('no_secret', 'there is no secret to sign with, or it cannot be opened');
  const timestamp = Math.floor(clock() / 1000);
  const late = new AbortController();
  // An answer that came while this process stood still is read before its time is over.
  const timer = setTimeout(() => setImmediate(() => late.abort()), timeoutMs);
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
    return await post({ destination, addresses, headers, body, signal: late.signal, clock, dial });
  } catch (error) {
    if (error instanceof ShoalError) return noAnswer('destination_not_allowed', error.message);
    return late.signal.aborted
      ? noAnswer('timeout', 'the name of the host was not resolved in time')
      : noAnswer('dns_failed', 'DNS did not answer for the name of the host');
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
