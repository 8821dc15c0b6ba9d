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
  /** What comes as it comes, where the call asked for it and the status is 200: to be read to its end, or cancelled. */
  readonly stream?: ReadableStream<Uint8Array>;
}

/** Thrown where nobody answers, or cannot now, and that is not waited for. */
export class ApiAway extends UserError {}

export type Patience = 'all' | 'busy' | 'none';

export interface Call {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is waited for; left out: all of it. */
  readonly patience?: Patience;
  /** Time in ms that it may take, with all that is waited for; left out: any. */
  readonly withinMs?: number;
  /** The answer is left to be read by the caller. */
  readonly streams?: boolean;
}

export interface PatientOptions {
  /** Tells that it is away, when that begins, and once for each reason that it takes no more. */
  readonly say?: (line: string) => void;
  readonly patienceMs?: number;
  /** Whether a command that ended as it was away goes on where it was; left out: yes. */
  readonly resumes?: boolean;
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
  readonly #resumes: boolean;
  readonly #now: () => number;
  /** Since when nothing but trouble comes, on the clock of `now`. */
  #since: number | undefined;
  readonly #busy = new Set<string>();

  constructor(url: string, key: string | undefined, options: PatientOptions = {}) {
    const { origin, pathname } = new URL(url);
    const { say = () => {}, patienceMs = PATIENCE_MS, resumes = true, now = () => performance.now() } = options;
    this.url = `${origin}${pathname}`.replace(/\/+$/, '');
    this.#key = key;
    this.#say = say;
    this.#patienceMs = patienceMs;
    this.#resumes = resumes;
    this.#now = now;
  }

  /** @throws UserError in one line where it is away for too long, or points elsewhere; the signal's reason */
  async call(method: 'GET' | 'POST' | 'DELETE', path: string, signal: AbortSignal, call: Call = {}): Promise<Reply> {
    const { withinMs } = call;
    if (withinMs === undefined) return await this.#repeated(method, path, signal, call);
    const limit = AbortSignal.timeout(withinMs);
    try {
      return await this.#repeated(method, path, AbortSignal.any([signal, limit]), call);
    } catch (error) {
      if (error !== limit.reason || signal.aborted) throw error;
      throw new UserError(`${this.url} has not answered within ${withinMs / 1000} s.`);
    }
  }

  async #repeated(method: string, path: string, signal: AbortSignal, call: Call): Promise<Reply> {
    const { patience = 'all' } = call;
    for (let attempt = 0; ; attempt++) {
      const outcome = await this.#once(method, path, signal, call);
      if ('status' in outcome) {
        this.#since = undefined;
        return outcome;
      }
      const { busy, reason } = outcome;
      if (!busy) this.#bear(reason, patience === 'all');
      else if (patience === 'none') throw new UserError(`${this.url} takes no more now: ${reason}.`);
      else this.#tellBusy(reason);
      const pause = outcome.pauseMs ?? Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
      await wait(pause, undefined, { signal }).catch(() => {});
      signal.throwIfAborted();
    }
  }

  #tellBusy(reason: string): void {
    if (this.#busy.has(reason)) return;
    this.#busy.add(reason);
    this.#say(`${this.url} takes no more now: ${reason}. It is asked again until it does.`);
  }

  /** @throws UserError where it has been away for too long */
  #bear(reason: string, patient: boolean): void {
    if (!patient) throw new ApiAway(`${this.url} does not answer: ${reason}.`);
    const minutes = `${Math.round(this.#patienceMs / 6000) / 10} min`;
    if (this.#since === undefined) {
      this.#since = this.#now();
      this.#say(`${this.url} does not answer: ${reason}. It is asked again for ${minutes}.`);
    }
    if (this.#now() - this.#since < this.#patienceMs) return;
    throw new UserError(
      `${this.url} has not answered for ${minutes}: ${reason}${this.#resumes ? '; once it does, the same command goes on where it was' : ''}.`,
    );
  }

  async #once(method: string, path: string, signal: AbortSignal, call: Call): Promise<Reply | Trouble> {
    const { body, headers, streams = false } = call;
    try {
      const response = await fetch(`${this.url}${path}`, {
        method,
        signal,
        // A POST would be sent on as a GET, and a key to whoever is pointed to.
        redirect: 'manual',
        headers: {
          ...headers,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(this.#key !== undefined && { authorization: `Bearer ${this.#key}` }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const { status } = response;
      if (streams && status === 200 && response.body !== null)
        return { status, body: undefined, stream: response.body };
      const text = await response.text();
      const pointsTo = response.headers.get('location');
      if (status >= 300 && status < 400 && pointsTo !== null) throw this.#elsewhere(path, pointsTo);
      const told = parsed(text);
      if (status !== BUSY && !AWAY.has(status)) return { status, body: told };
      const reason = detailOf(told) ?? `status ${status}`;
      return { busy: status === BUSY, reason, pauseMs: retryAfterOf(response.headers.get('retry-after')) };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof UserError) throw error;
      return { busy: false, reason: reasonOf(error, this.url), pauseMs: undefined };
    }
  }

  /** Where what it points to is an API as well, without the path of the call. */
  #elsewhere(path: string, location: string): UserError {
    const target = URL.canParse(location, `${this.url}${path}`)
      ? new URL(location, `${this.url}${path}`).href
      : location;
    const address = target.endsWith(path) ? target.slice(0, -path.length) : target;
    return new UserError(`${this.url} points to ${address}: give that address in its place.`);
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
