/** This side of an engine: it runs in a thread of its own, so that passes keep nobody else waiting. */
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { SHARE_ENV, Worker } from 'node:worker_threads';
import { type ErrorCode, type Savings, ShoalError } from '@shoal/contracts';
import type { DecoderSettings } from '../session-options.js';
import type { Finish, GenerationRequest, NewToken } from '../types.js';
import { type StepEvents, unpackTokens } from './events.js';
import type { FromThread, ReadyEngine, ThreadOptions, ToThread } from './messages.js';
import { checkRequest } from './request.js';
import { type EngineStats, SharedStats } from './stats.js';

export interface OpenOptions extends DecoderSettings {
  /** Of the ONNX file. */
  readonly modelPath: string;
  /** Bytes that this process may have in memory, the model's own included. */
  readonly memoryLimit: number;
  /** Of what the model leaves of them, what the cache may have, though always room for one text. Default: all of it. */
  readonly cacheShare?: number;
  /** Tokens of prompt and answer together. Default: the model's own limit, which limits this one too. */
  readonly context?: number;
  /** Texts at once at most. Default 64, or what memory has room for. */
  readonly rows?: number;
  /** Told where the thread ends by itself: whatever is started from then on is refused. */
  readonly onDeath?: (error: ShoalError) => void;
}

/** Told of one request; nothing more after its end or failure, or once it has been stopped. */
export interface GenerationListener {
  /** So far, here: when it gets a row, and whenever that changes, before the tokens that were made meanwhile. */
  readonly saved: (savings: Savings) => void;
  /** How likely the prompt's tokens from the second on were, in parts; only where it was asked. */
  readonly prompt: (tokens: readonly NewToken[]) => void;
  /** New tokens of the answer. One that ended it, as one of `stopIds`, is told with its end. */
  readonly tokens: (tokens: readonly NewToken[]) => void;
  readonly ended: (finish: Finish) => void;
  readonly failed: (error: ShoalError) => void;
}

export class GenerationEngine {
  readonly rows: number;
  /** Tokens of prompt and answer together. */
  readonly context: number;
  /** Bytes that the cache may come to take. */
  readonly reservedBytes: number;
  readonly #limits: ReadyEngine;
  readonly #worker: Worker;
  readonly #bell: Int32Array;
  readonly #stats: SharedStats;
  readonly #listeners = new Map<number, GenerationListener>();
  #end: ShoalError | undefined;

  /** @throws ShoalError `model_invalid`, `device_failed` where memory has no room for a text, or what loading it threw */
  static async open({
    modelPath,
    memoryLimit,
    cacheShare = 1,
    context,
    rows,
    onDeath,
    ...settings
  }: OpenOptions): Promise<GenerationEngine> {
    const bell = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    const stats = new SharedStats();
    const workerData: ThreadOptions = {
      ...{ modelPath, settings, memoryLimit, cacheShare, context, rows },
      ...{ bell, stats: stats.memory },
    };
    // By its package name, because the thread runs compiled code even where this file is run from its source. Settings of
    // native libraries are variables of the process, which a thread with an environment of its own could not set.
    const worker = new Worker(createRequire(import.meta.url).resolve('@shoal/generation/thread'), {
      ...{ workerData, execArgv: [], env: SHARE_ENV },
    });
    const [message] = (await Promise.race([once(worker, 'message'), died(worker)])) as [FromThread];
    if (message.kind === 'ready') return new GenerationEngine(worker, message, new Int32Array(bell), stats, onDeath);
    throw message.kind === 'refused' ? errorOf(message) : new ShoalError('internal_error', message.kind);
  }

  private constructor(
    worker: Worker,
    limits: ReadyEngine,
    bell: Int32Array,
    stats: SharedStats,
    onDeath: OpenOptions['onDeath'],
  ) {
    this.rows = limits.rows;
    this.context = limits.context;
    this.reservedBytes = limits.reservedBytes;
    this.#limits = limits;
    this.#worker = worker;
    this.#bell = bell;
    this.#stats = stats;
    worker.on('message', (message: FromThread) => {
      if (message.kind === 'step') this.#deliver(message.events);
    });
    const die = (error?: unknown) => {
      if (this.#end !== undefined) return;
      this.#fail('The thread that generates texts has ended', error);
      onDeath?.(this.#end!);
    };
    worker.on('error', die);
    worker.on('exit', () => die());
  }

  /** @throws ShoalError as `checkRequest`; `device_failed` once the thread has ended */
  start(request: GenerationRequest, listener: GenerationListener): void {
    if (this.#end !== undefined) throw this.#end;
    checkRequest(request, this.#limits);
    if (this.#listeners.has(request.id)) throw new ShoalError('internal_error', 'A request of this number is running');
    this.#listeners.set(request.id, listener);
    // Copies: a view would take all that it is a view of along.
    const { prompt, emitted, prediction } = request;
    this.#send({
      kind: 'start',
      request: {
        ...request,
        prompt: prompt.slice(),
        emitted: emitted.slice(),
        prediction: prediction?.slice() ?? null,
      },
    });
  }

  /** Nothing is told of the request any more; its row is free after the step that is under way, and stays as a prefix. */
  stop(id: number): void {
    if (this.#listeners.delete(id)) this.#send({ kind: 'stop', id });
  }

  /** As of the last step. */
  stats(): EngineStats {
    return this.#stats.read();
  }

  /** Fails what is running, and waits until the thread has freed its memory and ended. May be called twice. */
  async close(): Promise<void> {
    if (this.#end !== undefined) return;
    const exit = once(this.#worker, 'exit');
    this.#fail('The engine has been closed');
    this.#send({ kind: 'close' });
    await exit;
  }

  #send(message: ToThread): void {
    this.#worker.postMessage(message);
    Atomics.add(this.#bell, 0, 1);
    Atomics.notify(this.#bell, 0);
  }

  #deliver({ saved, prompts, tokens, ended }: StepEvents): void {
    for (const { request, ...savings } of saved) this.#listeners.get(request)?.saved(savings);
    for (const [id, list] of unpackTokens(prompts)) this.#listeners.get(id)?.prompt(list);
    for (const [id, list] of unpackTokens(tokens)) this.#listeners.get(id)?.tokens(list);
    for (const ending of ended) {
      const listener = this.#listeners.get(ending.request);
      this.#listeners.delete(ending.request);
      if ('finish' in ending) listener?.ended(ending.finish);
      else listener?.failed(errorOf(ending.error));
    }
  }

  /** Whatever runs could have gone on: it may be tried again. */
  #fail(detail: string, cause?: unknown): void {
    this.#end ??= new ShoalError('device_failed', detail, { cause });
    const listeners = [...this.#listeners.values()];
    this.#listeners.clear();
    for (const { failed } of listeners) failed(this.#end);
  }
}

async function died(worker: Worker): Promise<never> {
  await once(worker, 'exit');
  throw new ShoalError('device_failed', 'The thread that generates texts has ended');
}

function errorOf({ code, detail }: { readonly code: ErrorCode; readonly detail: string }): ShoalError {
  return new ShoalError(code, detail);
}
