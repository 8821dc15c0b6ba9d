/** One trial in a process of its own: whatever becomes of that, the run goes on. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { Answered } from '../teacher/types.js';
import { Limits, type LimitsMs } from './limits.js';
import type { GivenMessage, TrialMessage, TrialOrder, TrialReply } from './messages.js';
import { type AskElsewhere, Relay } from './relay.js';

export type TrialEnd =
  | TrialReply
  /** Its process ended without a word. */
  | {
      readonly kind: 'crashed';
      readonly reason: string;
      readonly signal: NodeJS.Signals | null;
      readonly exitCode: number | null;
    }
  /** It had to be ended: it took longer than it may. */
  | { readonly kind: 'late' };

export interface TrialContext extends LimitsMs {
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  /** From 0 to 1. */
  readonly onProgress: (share: number) => void;
  /** How far the questions to the original are. */
  readonly onAnswered?: (progress: Answered) => void;
  /** Of the file that is there as long as the run may write: without it the process of the trial ends by itself. Left out: there is none. */
  readonly held?: string;
  /** Whom it asks that is to have its answers from elsewhere. */
  readonly ask?: AskElsewhere;
}

/** Of what it prints last, in characters: V8 says there that its memory has run out. */
const TAIL = 4000;

/** Resolves when the process is gone. @throws the signal's reason, and what `ask` throws; then too */
export async function runTrial(order: TrialOrder, context: TrialContext): Promise<TrialEnd> {
  context.signal.throwIfAborted();
  // By its package name, because it runs compiled code even where this file is run from its source. In a group of its own, Ctrl-C
  // reaches whoever started it alone.
  const path = createRequire(import.meta.url).resolve('@shoal/optimizer/trial-process');
  const { held } = context;
  const child = fork(path, [String(process.pid), ...(held === undefined ? [] : [held])], {
    ...{ detached: true, execArgv: [], serialization: 'advanced' },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const gone = once(child, 'exit');
  try {
    return await endOf(child, order, context);
  } finally {
    // What it was asked for is on the disk, and what it holds goes with it: nothing is left to be closed.
    child.kill('SIGKILL');
    await gone;
  }
}

async function endOf(child: ChildProcess, order: TrialOrder, context: TrialContext): Promise<TrialEnd> {
  const { signal, ask, say, onProgress, onAnswered } = context;
  const end = new Ending();
  const limits = new Limits(context, () => end.resolve({ kind: 'late' }));
  // Words to one that is gone: `close` tells that.
  const send = (message: GivenMessage) => void child.send(message, () => {});
  const relay = ask && new Relay({ ask, signal, send, onError: end.reject, onWaiting: limits.wait });
  const onAbort = () => end.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  let printed = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    printed = (printed + text).slice(-TAIL);
  });
  child.on('message', (message) => {
    const told = message as TrialMessage;
    if (told.kind === 'progress') onProgress(told.share);
    else if (told.kind === 'say') say(told.line);
    else if (told.kind === 'answered') onAnswered?.(told.progress);
    else if (told.kind === 'ask' || told.kind === 'taken') relay?.take(told);
    else end.resolve(told);
  });
  // Behind what it has said and printed.
  child.once('close', (exitCode, ended) => {
    end.resolve({ kind: 'crashed', reason: reasonOf(exitCode, ended, printed), signal: ended, exitCode });
  });
  child.once('error', end.reject);
  child.send(order, (error) => {
    // It is gone already, which `close` tells.
    if (error !== null && child.exitCode === null && child.signalCode === null) end.reject(error);
  });
  try {
    return await end.promise;
  } finally {
    limits.clear();
    signal.removeEventListener('abort', onAbort);
    await relay?.end();
  }
}

/** How a trial ends; the first word counts. */
class Ending {
  resolve!: (end: TrialEnd) => void;
  reject!: (error: unknown) => void;
  readonly promise = new Promise<TrialEnd>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}

function reasonOf(exitCode: number | null, signal: NodeJS.Signals | null, printed: string): string {
  const how = signal === null ? `exit code ${exitCode}` : signal;
  if (/heap out of memory/i.test(printed)) return `its process ran out of memory (${how})`;
  // What else ends a process so is somebody's hand.
  if (signal === 'SIGKILL') return `its process was killed (${how}), most likely because memory ran out`;
  return `its process crashed (${how})`;
}
