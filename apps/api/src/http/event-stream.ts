/** Server-sent events (WHATWG HTML, section 9.2): one open answer, written as fast as its reader reads. */
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import { jsonPieces } from './json-pieces.js';

export interface StreamEvent {
  /** Left out: the event is not part of what a reader resumes. */
  readonly id?: string;
  readonly type: string;
  readonly data: unknown;
}

/** Silence after which proxies tend to close a connection is 30 s or more. */
const HEARTBEAT_MS = 15_000;
/** Longest time in ms that a reader may take nothing of what there is. */
const PATIENCE_MS = 30_000;
/** What a reader should wait before it connects again. */
const RECONNECT_MS = 1000;

export class EventStream {
  readonly #body = new PassThrough();
  readonly #closed: Promise<unknown>;
  readonly #reply: FastifyReply;
  #written = false;
  /** An event is under way: nothing may come between its parts. */
  #writing = false;

  /**
   * Answers at once with the head; ends when `end` is called or `signal` aborts. `reconnects`: its readers come again by
   * themselves, as an EventSource does; for others a stream that is aborted must not look whole.
   */
  constructor(reply: FastifyReply, signal: AbortSignal, { reconnects }: { readonly reconnects: boolean }) {
    this.#reply = reply;
    this.#closed = once(this.#body, 'close');
    reply
      .type('text/event-stream; charset=utf-8')
      .header('Cache-Control', 'no-store')
      // nginx would collect the answer before it passes it on.
      .header('X-Accel-Buffering', 'no')
      .send(this.#body);
    // Also without events to come soon, the head is to leave at once.
    this.#body.write(reconnects ? `retry: ${RECONNECT_MS}\n\n` : ':\n\n');
    // A reader that has gone is no failure of this process.
    this.#body.on('error', () => undefined);
    const heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
    void this.#closed.finally(() => clearInterval(heartbeat));
    signal.addEventListener('abort', () => (reconnects ? this.end() : reply.raw.destroy()), { once: true });
  }

  /** Resolves when there is room for more: a slow reader holds up its writer, and nothing piles up here. */
  async send({ id, type, data }: StreamEvent): Promise<void> {
    this.#writing = true;
    try {
      await this.write(`${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: `);
      for (const piece of jsonPieces(data)) await this.write(piece);
      await this.write('\n\n');
    } finally {
      this.#writing = false;
    }
  }

  /** As `send`, of events that are text already. */
  async write(text: string): Promise<void> {
    if (text === '' || this.#body.writableEnded || this.#body.destroyed) return;
    this.#written = true;
    if (this.#body.write(text)) return;
    // A reader that takes nothing for so long may connect again and go on where it was.
    const patience = setTimeout(() => this.#reply.raw.destroy(), PATIENCE_MS);
    await Promise.race([once(this.#body, 'drain'), this.#closed]).finally(() => clearTimeout(patience));
    // Others have their turn, however fast this reader is.
    await turn();
  }

  end(): void {
    this.#body.end();
  }

  #beat(): void {
    if (this.#writing) return;
    if (!this.#written && !this.#body.writableNeedDrain && !this.#body.writableEnded) this.#body.write(':\n\n');
    this.#written = false;
  }
}
