/**
 * Callers as they should be: each request has an Idempotency-Key, and is repeated, on the next replica, until it is
 * answered. Keeps a backlog of jobs until it is stopped, and remembers what was acknowledged.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { JobView } from '@shoal/contracts';
import { inParallel } from '../support/fleet.js';

export interface LoadOptions {
  /** Base URLs of the replicas that callers know at this time. */
  readonly replicas: () => readonly string[];
  /** The body of job `n`. */
  readonly body: (n: number) => object;
  /** Whether one more job may be submitted now. */
  readonly room: () => boolean;
  readonly callers?: number;
  /** False: no Idempotency-Key, which Redis would keep for a day. */
  readonly keyed?: boolean;
}

export interface Refusal {
  /** 0 where the connection failed. */
  readonly status: number;
  readonly ms: number;
  /** When the answer came, in `performance.now()`'s ms. */
  readonly at: number;
}

const RETRY_MS = 50;

export class Load {
  /** Number of the job → id that its 202 had. */
  readonly acked = new Map<number, string>();
  readonly refusals: Refusal[] = [];
  readonly #options: LoadOptions;
  readonly #callers: Promise<unknown>;
  #next = 0;
  #stopping = false;

  /** Starts at once. */
  constructor(options: LoadOptions) {
    this.#options = options;
    this.#callers = Promise.all(Array.from({ length: options.callers ?? 8 }, () => this.#call()));
  }

  /** No more jobs; resolves when every request that was begun is acknowledged. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#callers;
  }

  /** Stops, and resolves to each acknowledged job when it has ended; null where it is not there. */
  async settle(): Promise<(JobView | null)[]> {
    await this.stop();
    return inParallel(16, [...this.acked.values()], (id) => this.#end(id));
  }

  async #call(): Promise<void> {
    while (!this.#stopping) {
      if (this.#options.room()) await this.#submit(this.#next++);
      else await pause(RETRY_MS / 5);
    }
  }

  async #submit(n: number): Promise<void> {
    const body = JSON.stringify(this.#options.body(n));
    const key = this.#options.keyed === false ? {} : { 'idempotency-key': `load-${n}` };
    const headers = { 'content-type': 'application/json', ...key };
    for (let attempt = n; ; attempt++) {
      const response = await this.#fetch(attempt, '/v1/jobs', { method: 'POST', headers, body });
      if (response?.status === 202 || response?.status === 200) {
        this.acked.set(n, ((await response.json()) as { id: string }).id);
        return;
      }
      if (response && response.status !== 503 && response.status !== 429) {
        throw new Error(`job ${n} was answered ${response.status}: ${await response.text()}`);
      }
      await response?.body?.cancel();
      await pause(RETRY_MS);
    }
  }

  async #end(id: string): Promise<JobView | null> {
    for (let attempt = 0; ; attempt++) {
      const response = await this.#fetch(attempt, `/v1/jobs/${id}?wait=30`);
      if (response?.status === 404) return null;
      if (response?.status !== 200) {
        await pause(RETRY_MS);
        continue;
      }
      const job = (await response.json()) as JobView;
      if (job.ended_at !== null) return job;
    }
  }

  /** Null where there was no answer. */
  async #fetch(attempt: number, path: string, request?: RequestInit): Promise<Response | null> {
    const replicas = this.#options.replicas();
    const started = performance.now();
    const refuse = (status: number) => {
      const at = performance.now();
      this.refusals.push({ status, ms: at - started, at });
    };
    try {
      const response = await fetch(`${replicas[attempt % replicas.length]}${path}`, request);
      if (response.status >= 400) refuse(response.status);
      return response;
    } catch {
      refuse(0);
      return null;
    }
  }
}
