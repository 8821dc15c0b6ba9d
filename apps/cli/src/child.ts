/** One process that is started, watched until it is ready, and stopped. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Environment } from '@shoal/config';
import { parseLine } from '@shoal/telemetry';

export interface Command {
  readonly name: string;
  /** Run by this Node. */
  readonly script: string;
  readonly args?: readonly string[];
  readonly env: Environment;
  /** What says that it is ready: an event among its log lines, or a URL that answers 200. */
  readonly ready: { readonly event: string } | { readonly url: string };
}

export interface Child {
  readonly command: Command;
  readonly pid: number | undefined;
  /** Resolves once it is ready; stays pending where it ends before. */
  readonly ready: Promise<void>;
  /** Resolves when it has ended and all of its output was read, to how: `exit code 1`, `SIGKILL`. */
  readonly exited: Promise<string>;
  /** Error lines from before it was ready, oldest first: why it could not start, if it could not. */
  readonly complaints: readonly string[];
  /** SIGTERM, then SIGKILL after `graceMs`. */
  stop(graceMs: number): Promise<void>;
  kill(): void;
}

const POLL_MS = 100;

/**
 * Starts the process in a group of its own, so that Ctrl-C reaches it only through `stop`, with a channel that tells it
 * when this process is gone. `show` gets each line of its output; error lines from before it was ready come when it is.
 */
export function startChild(command: Command, show: (line: string) => void): Child {
  const child = spawn(process.execPath, [command.script, ...(command.args ?? [])], {
    env: command.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const exited = once(child, 'close').then(([code, signal]) => (signal as string | null) ?? `exit code ${code}`);
  const complaints: string[] = [];
  let started = false;
  const ready = new Promise<void>((resolve) => {
    const becomeReady = () => {
      if (started) return;
      started = true;
      complaints.forEach(show);
      resolve();
    };
    const onLine = (line: string, isError: boolean) => {
      const entry = parseLine(line);
      if (!started && (entry ? entry.level === 'error' || entry.level === 'fatal' : isError)) complaints.push(line);
      else show(line);
      if ('event' in command.ready && entry?.event === command.ready.event) becomeReady();
    };
    createInterface({ input: child.stdout! }).on('line', (line) => onLine(line, false));
    createInterface({ input: child.stderr! }).on('line', (line) => onLine(line, true));
    if ('url' in command.ready) void untilAnswers(command.ready.url, exited).then(becomeReady);
  });

  const kill = () => {
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      // It has ended already.
    }
  };
  const stop = async (graceMs: number) => {
    child.kill('SIGTERM');
    const timer = setTimeout(kill, graceMs);
    await exited;
    clearTimeout(timer);
  };
  return { command, pid: child.pid, ready, exited, complaints, stop, kill };
}

/** Resolves once the URL answers 200; never where the process behind it ends before. */
async function untilAnswers(url: string, exited: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  void exited.then(() => over.abort());
  while (!over.signal.aborted) {
    const response = await fetch(url, { signal: over.signal }).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok) return;
    await sleep(POLL_MS);
  }
  return new Promise(() => {});
}

/** Why a process could not start, in one line: its last error line, without a stack. */
export function explain({ complaints }: Pick<Child, 'complaints'>): string {
  const logged = complaints.map(parseLine).findLast((entry) => entry !== undefined);
  if (logged !== undefined) return messageOf(logged);
  const thrown = complaints.findLast((line) => /^(Uncaught )?\w*Error\b.*: /.test(line));
  if (thrown !== undefined) return thrown;
  return complaints
    .filter((line) => line.trim() !== '')
    .slice(-MAX_LINES)
    .join('; ');
}

/** More lines on stderr than that are not a message. */
const MAX_LINES = 5;

function messageOf(entry: Readonly<Record<string, unknown>>): string {
  const { error, msg, event } = entry;
  const thrown = typeof error === 'object' && error !== null && 'message' in error ? error.message : undefined;
  return [thrown ?? msg ?? event].map(String).join();
}
