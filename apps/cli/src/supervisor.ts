/** Keeps a set of processes running: all of them or none at the start, each one again when it ends later. */
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '@shoal/tools/user-error';
import { type Child, type Command, explain, startChild } from './child.js';

export interface SupervisorOptions {
  /** Gets every line of a process's output, and what happens to it. */
  readonly show: (name: string, line: string) => void;
  /** How long to wait in ms before the next start of a process that ended `failures` times in short order. */
  readonly restartDelay?: (failures: number) => number;
}

/** Time in ms that a process has for ending by itself; with the server that ends after it, 10 s in all. */
const GRACE_MS = 8000;
/** A process that ran this long in ms has not failed in short order. */
const STEADY_MS = 60_000;

const doubling = (failures: number) => Math.min(500 * 2 ** failures, 30_000);

export class Supervisor {
  readonly #commands: readonly Command[];
  readonly #show: SupervisorOptions['show'];
  readonly #restartDelay: (failures: number) => number;
  readonly #children = new Map<Command, Child>();
  readonly #stopped = new AbortController();

  constructor(commands: readonly Command[], { show, restartDelay = doubling }: SupervisorOptions) {
    this.#commands = commands;
    this.#show = show;
    this.#restartDelay = restartDelay;
  }

  /** Starts every process and resolves once all are ready. Throws a UserError with the reason of the first that ends. */
  async start(): Promise<void> {
    const children = this.#commands.map((command) => this.#spawn(command));
    await Promise.all(children.map(becomesReady));
    for (const child of children) void this.#keep(child);
  }

  /** Ends every process and resolves once none is left. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all([...this.#children.values()].map((child) => child.stop(GRACE_MS)));
  }

  /** Ends every process at once. */
  kill(): void {
    this.#stopped.abort();
    for (const child of this.#children.values()) child.kill();
  }

  #spawn(command: Command): Child {
    const child = startChild(command, (line) => this.#show(command.name, line));
    this.#children.set(command, child);
    return child;
  }

  async #keep(first: Child): Promise<void> {
    const { signal } = this.#stopped;
    const { command } = first;
    let child = first;
    for (let failures = 0; ; failures += 1) {
      const since = performance.now();
      const how = await child.exited;
      if (signal.aborted) return;
      if (performance.now() - since > STEADY_MS) failures = 0;
      const delay = this.#restartDelay(failures);
      const reason = child === first ? '' : explain(child);
      this.#show(command.name, `ended (${[how, reason].filter(Boolean).join(': ')}); next start in ${delay / 1000} s`);
      await sleep(delay, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      child = this.#spawn(command);
    }
  }
}

async function becomesReady(child: Child): Promise<void> {
  const how = await Promise.race([child.ready, child.exited]);
  if (how === undefined) return;
  throw new UserError(`${child.command.name} could not start: ${explain(child) || how}`);
}
