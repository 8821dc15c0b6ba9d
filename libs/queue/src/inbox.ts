/** What one follower of a job was told and has not taken yet. Of bounded size: what does not fit is read from the log. */
import type { LoggedPiece } from './text-log.js';

/** Of pieces as they came; those of a follower that takes none are dropped. */
const MAX_BYTES = 128 * 1024;

export class Inbox {
  #pieces: LoggedPiece[] = [];
  #bytes = 0;
  #moved = false;
  #wake = () => {};

  /** The job has moved on, or words may have been missed: it has to be looked at. */
  move(): void {
    this.#moved = true;
    this.#wake();
  }

  add(piece: LoggedPiece, bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > MAX_BYTES) {
      this.#pieces = [];
      this.#bytes = 0;
      this.#moved = true;
    } else if (!this.#moved) {
      this.#pieces.push(piece);
    }
    this.#wake();
  }

  /** Whether the job has to be looked at; asked before that, so that nothing that comes meanwhile is missed. */
  takeMoved(): boolean {
    const moved = this.#moved;
    this.#moved = false;
    return moved;
  }

  /** The pieces that follow number `after` without a gap; where there is one, the job has to be looked at. */
  takeAfter(after: number): LoggedPiece[] {
    const fresh = this.#pieces.filter(({ seq }) => seq > after);
    const next = fresh.filter(({ seq }, i) => seq === after + 1 + i);
    if (next.length < fresh.length) this.#moved = true;
    this.#pieces = [];
    this.#bytes = 0;
    return next;
  }

  /** Resolves when something is here or comes, or when the signal aborts; after `ms` the job has to be looked at. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#moved || this.#pieces.length > 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.move(), Math.max(0, ms));
      this.#wake = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', this.#wake);
        resolve();
      };
      signal.addEventListener('abort', this.#wake, { once: true });
    });
  }
}
