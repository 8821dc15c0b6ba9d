/**
 * How long a replica has worked, in seconds of all that it can do: with four passes side by side, each on a core of its own,
 * a second of one of them is a quarter; of two passes that take turns on one device, a second of each is half.
 */
export class WorkClock {
  readonly #lanes: number;
  #running = 0;
  #at = 0;
  #seconds = 0;

  /** `lanes`: passes that run side by side; more than these take turns. */
  constructor(lanes: number) {
    this.#lanes = lanes;
  }

  /** A pass begins at `now` (ms of any clock that does not go back). Its reading is for `leave`. */
  enter(now: number): number {
    this.#advance(now);
    this.#running++;
    return this.#seconds;
  }

  /** The pass ends; the seconds that were its own. */
  leave(entered: number, now: number): number {
    this.#advance(now);
    this.#running--;
    return this.#seconds - entered;
  }

  #advance(now: number): void {
    if (this.#running > 0) this.#seconds += (now - this.#at) / 1000 / Math.max(this.#running, this.#lanes);
    this.#at = now;
  }
}
