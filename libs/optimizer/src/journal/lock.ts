/**
 * One process at a time at what a folder holds. Each that wants it puts a file of its own there, whose name says who it is, and then
 * looks who else has: the file comes before the look, so of two that come at once at least one sees the other, and who sees another
 * one that may be alive gives way. What nobody is behind any more is removed by whoever sees it: files of dead processes at once, those of
 * another container or machine, whose processes nobody here can see, when they have not changed for two minutes.
 *
 * A process that was stopped for so long finds its file removed when it goes on, and must not write then. So a lock is for what is
 * fenced by that: a run looks for its file before it writes (FolderLock.check), its journal is a file of its own (journal.ts), and
 * what is short is written into the file itself, which is renamed (whileLocked).
 */
import { randomInt } from 'node:crypto';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ShoalError } from '@shoal/contracts';
import { type Holder, holderOf, isSeenFromHere, isThere, ownName, SignsOfLife } from './holders.js';

/** Of a run of `shoal optimize`. */
const RUN = 'lock-';
/** Times that a holder is found alive before it is left alone: two that came at once have both given way, and some hold it for ms only. */
const [RUN_TRIES, WRITE_TRIES] = [5, 500];
/** Ms between two tries at most; and about so many where it takes long to know whether somebody is there. */
const [LONGEST_PAUSE_MS, LOOK_MS] = [40, 1000];

export interface LockTimes {
  /** In ms: a run gives its file a new time so often. */
  readonly renewMs: number;
  /** In ms: what has not changed for so long is left by nobody. More than file systems of networks keep what they know of a file (60 s). */
  readonly silentMs: number;
}
const TIMES: LockTimes = { renewMs: 2000, silentMs: 120_000 };

export interface LockContext {
  /** Told once where it may take `silentMs` to know whether somebody is there. */
  readonly say?: (line: string) => void;
  /** Ends the wait for that. */
  readonly signal?: AbortSignal;
  /** In ms. */
  readonly now?: () => number;
  readonly times?: LockTimes;
}

/** The lock of a run. */
export interface FolderLock {
  /** Of the file that is there as long as this run holds it. */
  readonly path: string;
  /** Aborts, with what `check` throws, soon after another run has taken over. */
  readonly lost: AbortSignal;
  /** To be called before anything is written. @throws ShoalError where another run has taken over */
  check(): void;
  unlock(): void;
}

/**
 * The lock of a run of `shoal optimize`: two would write one journal, and remove each other's drafts.
 *
 * @throws ShoalError `invalid_request` naming the process that has it; the signal's reason
 */
export async function lockFolder(folder: string, context: LockContext = {}): Promise<FolderLock> {
  const { say, times = TIMES } = context;
  const seconds = Math.round(times.silentMs / 1000);
  let told = false;
  const taken = await attempt(folder, RUN, RUN_TRIES, {
    ...context,
    onUnsure(holder) {
      if (!told) say?.(`${wordsOf(holder)}, or was: without a sign of life for ${seconds} s it is taken over.`);
      told = true;
    },
  });
  if (typeof taken === 'string') return new Held(taken, times);
  throw new ShoalError('invalid_request', `${wordsOf(taken)}: wait for it, or stop it`);
}

function wordsOf(holder: Holder): string {
  const { host, pid } = holder;
  const place = host === hostname() ? `another container that is called ${host}` : host;
  const where = isSeenFromHere(holder) ? `by process ${pid}` : `by process ${pid} of ${place}`;
  return `this model is being optimised ${where}`;
}

class Held implements FolderLock {
  readonly path: string;
  readonly #lost = new AbortController();
  readonly #timer: NodeJS.Timeout;
  /** Back. */
  #given = false;

  constructor(path: string, { renewMs }: LockTimes) {
    this.path = path;
    this.#timer = setInterval(() => void this.#renew(), renewMs).unref();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  check(): void {
    if (!existsSync(this.path)) this.#lose();
    this.lost.throwIfAborted();
  }

  unlock(): void {
    this.#given = true;
    clearInterval(this.#timer);
    rmSync(this.path, { force: true });
  }

  /** A file system that is away now may be there the next time; until then nobody sees a sign of life. */
  async #renew(): Promise<void> {
    const now = new Date();
    await utimes(this.path, now, now).catch((error: NodeJS.ErrnoException) => {
      if (!this.#given && (error.code === 'ENOENT' || error.code === 'ESTALE')) this.#lose();
    });
  }

  #lose(): void {
    clearInterval(this.#timer);
    this.#lost.abort(
      new ShoalError(
        'invalid_request',
        `another run has taken this model over, since this one gave no sign of life, or ${this.path} was removed: this one has ended, and what it had noted until then counts`,
      ),
    );
  }
}

/**
 * Waits for a lock that is held for moments, does the work, and gives it back. `own` is the file that this process holds it by: what
 * is renamed from it into its place is there and unlocked in one step. Whoever writes into it must not make it anew (flag `r+`): it is
 * gone where this process was stopped for so long that another one has taken over, and what it was about to write goes nowhere then.
 *
 * @param prefix what names of the lock's files begin with
 * @throws ShoalError `invalid_request` where another process does not give it back; what the work throws
 */
export async function whileLocked<T>(
  folder: string,
  prefix: string,
  work: (own: string) => Promise<T>,
  times = TIMES,
): Promise<T> {
  const taken = await attempt(folder, prefix, WRITE_TRIES, { times });
  if (typeof taken !== 'string') {
    const { host, pid } = taken;
    throw new ShoalError(
      'invalid_request',
      `process ${pid} on ${host} is writing in ${folder} and does not end: wait for it, or stop it`,
    );
  }
  try {
    return await work(taken);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || existsSync(taken)) throw error;
    const message = `another process has taken over what was written in ${folder}, since this one gave no sign of life: run the same again`;
    throw new ShoalError('invalid_request', message, { cause: error });
  } finally {
    rmSync(taken, { force: true });
  }
}

interface AttemptOptions extends Pick<LockContext, 'signal' | 'now' | 'times'> {
  readonly onUnsure?: (holder: Holder) => void;
}

/** Who may be at it, and whether that is sure. */
interface Taken {
  readonly by: Holder;
  readonly isAlive: boolean;
}

/** The path of this process's file; or the last one's holder, where so many tries have found one alive. */
async function attempt(
  folder: string,
  prefix: string,
  tries: number,
  { signal, onUnsure, now = () => performance.now(), times = TIMES }: AttemptOptions,
): Promise<string | Holder> {
  const signs = new SignsOfLife(times.silentMs, now);
  const lookMs = Math.min(LOOK_MS, times.renewMs);
  for (let left = tries; ; ) {
    const taken = take(folder, prefix, signs);
    if (typeof taken === 'string') return taken;
    const { by, isAlive } = taken;
    if (isAlive) left -= 1;
    else onUnsure?.(by);
    if (left === 0) return by;
    // At random, so that two that wait for each other do not meet again.
    const ms = isSeenFromHere(by) ? randomInt(1, LONGEST_PAUSE_MS) : lookMs * (0.5 + randomInt(100) / 100);
    await pause(ms, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

function take(folder: string, prefix: string, signs: SignsOfLife): string | Taken {
  const name = ownName(prefix);
  const path = join(folder, name);
  try {
    writeFileSync(path, '', { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      return { by: holderOf(folder, name, prefix)!, isAlive: true };
    }
    rmSync(path, { force: true });
    throw error;
  }
  let taken: Taken | undefined;
  for (const other of readdirSync(folder)) {
    const holder = other === name ? undefined : holderOf(folder, other, prefix);
    if (holder === undefined) continue;
    const sign = signOf(holder, signs);
    if (sign === 'silent') rmSync(holder.path, { force: true });
    else if (sign !== 'gone' && !taken?.isAlive) taken = { by: holder, isAlive: sign === 'stirs' };
  }
  if (taken === undefined) return path;
  rmSync(path, { force: true });
  return taken;
}

function signOf(holder: Holder, signs: SignsOfLife) {
  if (!isSeenFromHere(holder)) return signs.look(holder.path);
  return isThere(holder) ? 'stirs' : 'silent';
}
