/** Calls of an API that may be busy, or away for a while: repeated until it answers, or has been away for too long. */
import { setTimeout as wait } from 'node:timers/promises';
import { UserError } from '@shoal/tools/user-error';

/** Time in ms that it may be away, or unable to do anything, on end: longer than it takes to start anew. */
const PATIENCE_MS = 180_000;
/** Pauses in ms where it does not say how long to wait: twice as long each time. */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [250, 5000];
/** Longest Retry-After that is waited for, in seconds. */
const LONGEST_RETRY_AFTER = 60;

/** It has enough to do: it takes more when some of that is done, which may be a long time. */
const BUSY = 429;
/** It, or what stands before it, cannot answer now. */
const AWAY: ReadonlySet<number> = new Set([408, 502, 503, 504]);

export interface Reply {
  readonly status: number;
  /** What its JSON says; undefined where it is none. */
  readonly body: unknown;
}

export interface Call {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** False: tried once, unless it is busy. */
  readonly patient?: boolean;
}

export interface PatientOptions {
  /** Tells that it is away, when that begins. */
  readonly say?: (line: string) => void;
  readonly patienceMs?: number;
  /** In ms. */
  readonly now?: () => number;
}

/** Why there is no answer yet. */
interface Trouble {
  readonly busy: boolean;
  readonly reason: string;
  /** Undefined: it does not say. */
  readonly pauseMs: number | undefined;
}

export class PatientApi {
  /** Without a slash at the end. */
  readonly url: string;
  readonly #key: string | undefined;
  readonly #say: (line: string) => void;
  readonly #patienceMs: number;
  readonly #now: () => number;
  /** Since when nothing but trouble comes, on the clock of `now`. */
  #since: number | undefined;

  constructor(url: string, key: string | undefined, options: PatientOptions = {}) {
    const { origin, pathname } = new URL(url);
    const { say = () => {}, patienceMs = PATIENCE_MS, now = () => performance.now() } = options;
    this.url = `${origin}${pathname}`.replace(/\/+$/, '');
    this.#key = key;
    this.#say = say;
    this.#patienceMs = patienceMs;
    this.#now = now;
  }

  /** @throws UserError in one line where it is away for too long; the signal's reason */
  async call(method: 'GET' | 'POST' | 'DELETE', path: string, signal: AbortSignal, call: Call = {}): Promise<Reply> {
    for (let attempt = 0; ; attempt++) {
      const outcome = await this.#once(method, path, signal, call);
      if ('status' in outcome) {
        this.#since = undefined;
        return outcome;
      }
      if (!outcome.busy) this.#bear(outcome.reason, call.patient ?? true);
      const pause = outcome.pauseMs ?? Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
      await wait(pause, undefined, { signal }).catch(() => {});
      signal.throwIfAborted();
    }
  }

  /** @throws UserError where it has been away for too long */
  #bear(reason: string, patient: boolean): void {
    if (!patient) throw new UserError(`${this.url} does not answer: ${reason}.`);
    const minutes = `${Math.round(this.#patienceMs / 6000) / 10} min`;
    if (this.#since === undefined) {
      this.#since = this.#now();
      this.#say(`${this.url} does not answer: ${reason}. It is asked again for ${minutes}.`);
    }
    if (this.#now() - this.#since < this.#patienceMs) return;
    throw new UserError(
      `${this.url} has not answered for ${minutes}: ${reason}; once it does, the same command goes on where it was.`,
    );
  }

  async #once(method: string, path: string, signal: AbortSignal, { body, headers }: Call): Promise<Reply | Trouble> {
    try {
      const response = await fetch(`${this.url}${path}`, {
        method,
        signal,
        headers: {
          ...headers,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(this.#key !== undefined && { authorization: `Bearer ${this.#key}` }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      const { status } = response;
      const told = parsed(text);
      if (status !== BUSY && !AWAY.has(status)) return { status, body: told };
      const reason = detailOf(told) ?? `status ${status}`;
      return { busy: status === BUSY, reason, pauseMs: retryAfterOf(response.headers.get('retry-after')) };
    } catch (error) {
      signal.throwIfAborted();
      return { busy: false, reason: reasonOf(error, this.url), pauseMs: undefined };
    }
  }
}

/** What an answer of Shoal says that is wrong, in either of its shapes; undefined where it is no such answer. */
export function detailOf(body: unknown): string | undefined {
  const { detail, error } = (body ?? {}) as { detail?: unknown; error?: { message?: unknown } };
  const words = detail ?? error?.message;
  return typeof words === 'string' ? words.replace(/\.$/, '') : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function retryAfterOf(header: string | null): number | undefined {
  return header !== null && /^\d{1,6}$/.test(header)
    ? 1000 * Math.min(LONGEST_RETRY_AFTER, Math.max(1, Number(header)))
    : undefined;
}

/** What fetch throws says why in its cause. */
function reasonOf(error: unknown, url: string): string {
  const { cause = error } = error as { readonly cause?: unknown };
  // Of those that fetch never asks, as they belong to other protocols.
  if (cause instanceof Error && cause.message === 'bad port')
    return `port ${new URL(url).port} may not be used by HTTP clients`;
  return cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : String(cause);
}
