/**
 * This side of a chat template. Templates are programs that come with a model, from anywhere: each renders in a thread of its
 * own, started when it is needed, and a thread that does not come to an end is ended.
 */
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { type Conversation, ShoalError } from '@shoal/contracts';
import type { Rendered } from './chat-template.js';
import type { FromTemplateThread, RenderOrder, TemplateSource } from './template-thread.js';

export interface TemplateLimits {
  /** For one conversation, in ms by the clock: honest templates take less than one, some 50 for 2 MB; on a busy machine more. */
  readonly deadlineMs: number;
  /** How often in a row a template may fail to end before it is no longer tried, and for how long that is, in ms. */
  readonly mostFailures: number;
  readonly refusedMs: number;
  /** A thread takes some MB: it ends where nobody has needed it for so long. */
  readonly idleMs: number;
  /** Of memory for its values, in MB. */
  readonly memoryMb: number;
}

const LIMITS: TemplateLimits = {
  ...{ deadlineMs: 5000, mostFailures: 3, refusedMs: 60_000, idleMs: 60_000, memoryMb: 256 },
};

interface Waiting extends RenderOrder {
  readonly resolve: (rendered: Rendered) => void;
  readonly reject: (error: ShoalError) => void;
}

export class TemplateClient {
  readonly #source: TemplateSource;
  readonly #limits: TemplateLimits;
  /** In their order: the thread is at the first. */
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  /** Until then it starts, and no conversation is to blame for that. */
  #ready = false;
  #timer: NodeJS.Timeout | undefined;
  #nextId = 0;
  #failures = 0;
  /** Conversations that are as long as one that failed, or longer, are refused: it may be what they ask for that takes long. */
  #refusedFrom = Number.POSITIVE_INFINITY;

  constructor(source: TemplateSource, limits: Partial<TemplateLimits> = {}) {
    this.#source = source;
    this.#limits = { ...LIMITS, ...limits };
  }

  /** @throws ShoalError `inference_failed` where the template does not end, or takes too much memory */
  render(conversation: Conversation, maxLength: number): Promise<Rendered> {
    const json = JSON.stringify(conversation);
    if (json.length >= this.#refusedFrom) return Promise.reject(failure('did not end several times; try again later'));
    return new Promise((resolve, reject) => {
      const order = { id: this.#nextId++, conversation: json, maxLength };
      this.#waiting.set(order.id, { ...order, resolve, reject });
      if (this.#worker === undefined) return this.#start();
      this.#worker.ref();
      this.#worker.postMessage(order);
      if (this.#ready && this.#waiting.size === 1) this.#watch();
    });
  }

  #start(): void {
    // By its package name, because the thread runs compiled code even where this file is run from its source.
    const worker = new Worker(createRequire(import.meta.url).resolve('@shoal/models/template-thread'), {
      ...{ workerData: this.#source, execArgv: [] },
      resourceLimits: { maxOldGenerationSizeMb: this.#limits.memoryMb },
    });
    this.#worker = worker;
    this.#ready = false;
    worker.on('message', (message: FromTemplateThread) => {
      if (this.#worker !== worker) return;
      if (message === 'ready') this.#ready = true;
      else this.#settle(message.id, message.rendered);
      this.#watch();
    });
    worker.on('error', () => {
      if (this.#worker !== worker) return;
      if (this.#ready) return this.#fail('takes too much memory');
      this.#worker = undefined;
      this.#rejectAll(new ShoalError('internal_error', 'The thread of a chat template could not be started'));
    });
    for (const { id, conversation, maxLength } of this.#waiting.values()) {
      worker.postMessage({ id, conversation, maxLength } satisfies RenderOrder);
    }
  }

  /** Of the conversation that the thread is at, or of the thread where there is none. */
  #watch(): void {
    clearTimeout(this.#timer);
    if (this.#waiting.size === 0) {
      this.#worker?.unref();
      this.#timer = setTimeout(() => this.#end(), this.#limits.idleMs).unref();
      return;
    }
    const [at] = this.#waiting.keys();
    this.#timer = setTimeout(() => {
      // This thread may have been busy for so long: what has come meanwhile is read first.
      setImmediate(() => {
        const [now] = this.#waiting.keys();
        if (now === at) this.#fail('did not end');
      });
    }, this.#limits.deadlineMs);
  }

  #settle(id: number, rendered: Rendered): void {
    this.#failures = 0;
    this.#waiting.get(id)?.resolve(rendered);
    this.#waiting.delete(id);
  }

  /** The conversation that the thread was at fails; those behind it have another thread. */
  #fail(why: string): void {
    this.#end();
    const [first] = this.#waiting.values();
    if (first === undefined) return;
    this.#waiting.delete(first.id);
    first.reject(failure(why));
    if (++this.#failures >= this.#limits.mostFailures) this.#refuse(first.conversation.length);
    if (this.#waiting.size > 0) this.#start();
  }

  #refuse(length: number): void {
    this.#refusedFrom = Math.min(length, this.#refusedFrom);
    // The first one after it is tried; if it does not end either, the next ones are refused at once.
    this.#failures = this.#limits.mostFailures - 1;
    setTimeout(() => {
      this.#refusedFrom = Number.POSITIVE_INFINITY;
    }, this.#limits.refusedMs).unref();
    for (const { id, conversation, reject } of [...this.#waiting.values()]) {
      if (conversation.length < this.#refusedFrom) continue;
      this.#waiting.delete(id);
      reject(failure('did not end several times; try again later'));
    }
  }

  #end(): void {
    clearTimeout(this.#timer);
    void this.#worker?.terminate();
    this.#worker = undefined;
  }

  #rejectAll(error: ShoalError): void {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of all) reject(error);
  }
}

function failure(why: string): ShoalError {
  return new ShoalError('inference_failed', `The model's chat template ${why}`);
}
