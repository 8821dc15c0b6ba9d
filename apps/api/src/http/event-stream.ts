/** Server-sent events (WHATWG HTML, section 9.2): one open answer, written as fast as its reader reads. */
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import type { FastifyReply } from 'fastify';

export interface StreamEvent {
  /** Left out: the event is not part of what a reader resumes. */
  readonly id?: string;
  readonly type: string;
  readonly data: unknown;
}

/** Silence after which proxies tend to close a connection is 30 s or more. */
const HEARTBEAT_MS = 15_000;
/** What a reader should wait before it connects again. */
const RECONNECT_MS = 1000;

export class EventStream {
  readonly #body = new PassThrough();
  readonly #closed: Promise<unknown>;
  #written = false;

  /** Answers at once with the head; ends when `end` is called or `signal` aborts. */
  constructor(reply: FastifyReply, signal: AbortSignal) {
    this.#closed = once(this.#body, 'close');
    reply
      .type('text/event-stream; charset=utf-8')
      .header('Cache-Control', 'no-store')
      // nginx would collect the answer before it passes it on.
      .header('X-Accel-Buffering', 'no')
      .send(this.#body);
    this.#body.write(`retry: ${RECONNECT_MS}\n\n`);
    // A reader that has gone is no failure of this process.
    this.#body.on('error', () => undefined);
    const heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
    void this.#closed.finally(() => clearInterval(heartbeat));
    signal.addEventListener('abort', () => this.end(), { once: true });
  }

  /** Resolves when there is room for more: a slow reader holds up its writer, and nothing piles up here. */
  async send({ id, type, data }: StreamEvent): Promise<void> {
    if (this.#body.writableEnded || this.#body.destroyed) return;
    this.#written = true;
    const text = `${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
    if (this.#body.write(text)) return;
    await Promise.race([once(this.#body, 'drain'), this.#closed]);
  }

  end(): void {
    this.#body.end();
  }

  #beat(): void {
    if (!this.#written && !this.#body.writableNeedDrain && !this.#body.writableEnded) this.#body.write(':\n\n');
    this.#written = false;
  }
}
