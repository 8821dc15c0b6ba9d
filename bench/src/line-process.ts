/** A process that answers each line of its input with one line of its output. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';

export class LineProcess {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! });
  }

  /** One question at a time. @throws where the process ends instead */
  async ask(question: string): Promise<string> {
    const ended = new AbortController();
    const exit = once(this.#child, 'exit', { signal: ended.signal }).then(() => {
      throw new Error(`${this.#child.spawnargs.join(' ')} ended early`);
    });
    // When the answer has come, nobody waits for the end.
    exit.catch(() => {});
    this.#child.stdin!.write(`${question}\n`);
    try {
      const [line] = (await Promise.race([once(this.#lines, 'line'), exit])) as [string];
      return line;
    } finally {
      ended.abort();
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
