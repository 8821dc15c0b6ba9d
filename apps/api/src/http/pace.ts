/** The least pace of a transfer: who sends or reads more slowly holds memory for others to pay for. */

/** Every transfer may take this long, */
const GRACE_MS = 20_000;
/** and a second longer per so many bytes (as `MinRate` of Apache's mod_reqtimeout). */
const LEAST_BYTES_PER_SECOND = 16 * 1024;

/** Longest time in ms that `bytes` may take. */
export function longestMs(bytes: number): number {
  return GRACE_MS + (bytes / LEAST_BYTES_PER_SECOND) * 1000;
}

export class Pace {
  readonly #late: () => void;
  #since = performance.now();
  #pausedAt: number | undefined;
  #bytes = 0;
  #timer: NodeJS.Timeout;

  /** Starts at once; `late` is called once, when too little has moved for the time that has passed. */
  constructor(late: () => void) {
    this.#late = late;
    this.#timer = setTimeout(() => this.#judge(), GRACE_MS);
  }

  move(bytes: number): void {
    this.#bytes += bytes;
  }

  /** It is this side that does not go on: time does not count until `resume`. Safe to call again, as that is. */
  pause(): void {
    this.#pausedAt ??= performance.now();
  }

  resume(): void {
    if (this.#pausedAt !== undefined) this.#since += performance.now() - this.#pausedAt;
    this.#pausedAt = undefined;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #judge(): void {
    if (this.#pausedAt !== undefined) {
      this.#timer = setTimeout(() => this.#judge(), GRACE_MS);
      return;
    }
    const left = longestMs(this.#bytes) - (performance.now() - this.#since);
    if (left <= 0) this.#late();
    else this.#timer = setTimeout(() => this.#judge(), left);
  }
}
