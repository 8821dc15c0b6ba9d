/** Requests that wait for a job: a wait ends when its caller hangs up and, where it may, when the server stops. */
import type { ApiMetrics } from '@shoal/telemetry';
import type { FastifyReply } from 'fastify';

type Task<T> = (signal: AbortSignal) => Promise<T>;

/** What is waited for: a job's result, or its events as they come. */
type Kind = 'result' | 'events';

export class HeldRequests {
  readonly #open = new Set<AbortController>();
  #ended = false;

  constructor(private readonly metrics: ApiMetrics) {
    metrics.waiters.set({ kind: 'result' }, 0);
    metrics.waiters.set({ kind: 'events' }, 0);
  }

  /** Runs `task` with a signal that aborts when the caller hangs up. */
  async untilHangUp<T>(reply: FastifyReply, kind: Kind, task: Task<T>, wait = new AbortController()): Promise<T> {
    const abort = () => wait.abort();
    reply.raw.once('close', abort);
    // It may have gone while the request was worked on.
    if (reply.raw.destroyed) abort();
    this.metrics.waiters.inc({ kind });
    try {
      return await task(wait.signal);
    } finally {
      this.metrics.waiters.dec({ kind });
      reply.raw.off('close', abort);
    }
  }

  /** Runs `task` with a signal that aborts when the caller hangs up or the server stops. */
  async untilStop<T>(reply: FastifyReply, kind: Kind, task: Task<T>): Promise<T> {
    const wait = new AbortController();
    if (this.#ended) wait.abort();
    this.#open.add(wait);
    try {
      return await this.untilHangUp(reply, kind, task, wait);
    } finally {
      this.#open.delete(wait);
    }
  }

  /** The server stops: ends the waits of `untilStop`, and from now on each one at once. */
  end(): void {
    this.#ended = true;
    for (const wait of this.#open) wait.abort();
  }
}
