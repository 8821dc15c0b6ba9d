/**
 * How long a replica has worked, in seconds of all that it can do: with four passes side by side, each on a core of its own,
 * a second of one of them is a quarter; of two passes that take turns on one device, a second of each is half.
 */
export class WorkClock {
  readonly #sideBySide: number;
  /** Passes, each as many times as it counts. */
  #running = 0;
  #at = 0;
  #seconds = 0;

  /** `sideBySide`: passes that run at the same time; more than these take turns. */
  constructor(sideBySide: number) {
    this.#sideBySide = sideBySide;
  }

  /**
   * A pass begins at `now` (ms of any clock that does not go back). Its reading is for `leave`. `counts`: as how many passes it
   * counts, since it takes the place of as many.
   */
  enter(now: number, counts = 1): number {
    this.#advance(now);
    this.#running += counts;
    return this.#seconds;
  }

  /** The pass ends; the seconds that were its own. */
  leave(entered: number, now: number, counts = 1): number {
    this.#advance(now);
    this.#running -= counts;
    return counts * (this.#seconds - entered);
  }

  #advance(now: number): void {
    if (this.#running > 0) this.#seconds += (now - this.#at) / 1000 / Math.max(this.#running, this.#sideBySide);
    this.#at = now;
  }
}
