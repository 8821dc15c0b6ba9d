/** This side of a worker thread: requests, and the promises of their replies. */
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { ShoalError } from '@shoal/contracts';
import type { Reply, Request } from './protocol.js';

type Body<R> = R extends Request ? Omit<R, 'id'> : never;

export class ThreadClient {
  // By its package name, because the thread runs compiled code even where this file is run from its source.
  readonly #worker = new Worker(createRequire(import.meta.url).resolve('@shoal/onnxruntime/thread'), { execArgv: [] });
  readonly #pending = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #nextId = 0;
  #ended: Error | undefined;

  constructor() {
    this.#worker.unref();
    this.#worker.on('message', (reply: Reply) => this.#settle(reply));
    this.#worker.on('error', (error) => this.#end(error));
    this.#worker.on('exit', () => this.#end());
  }

  /** Rejects with the thread's Error, or a ShoalError `device_failed` once the thread has died. */
  request<T>(body: Body<Request>): Promise<T> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#nextId++;
    return new Promise<unknown>((resolve, reject) => {
      this.#worker.postMessage({ ...body, id });
      this.#pending.set(id, { resolve, reject });
      // A thread keeps the process alive only while an answer is due.
      this.#worker.ref();
    }) as Promise<T>;
  }

  /** Lets the thread free its session and end; a thread that has died already has. */
  async close(): Promise<void> {
    if (this.#ended === undefined) await this.request({ op: 'release' });
  }

  terminate(): Promise<unknown> {
    return this.#worker.terminate();
  }

  #settle(reply: Reply): void {
    const waiter = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (this.#pending.size === 0) this.#worker.unref();
    if ('error' in reply) waiter?.reject(new Error(reply.error));
    else waiter?.resolve(reply.result);
  }

  #end(cause?: Error): void {
    this.#ended ??= new ShoalError('device_failed', 'The thread that ran the model has ended', { cause });
    for (const { reject } of this.#pending.values()) reject(this.#ended);
    this.#pending.clear();
  }
}
