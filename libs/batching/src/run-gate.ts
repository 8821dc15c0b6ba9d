/** Lets some forward passes run side by side, and one alone when it must: an item suspected of ending its process. */

interface Waiting {
  readonly alone: boolean;
  readonly enter: () => void;
}

/** One per process, shared by the micro-batchers of all its models. First come, first served. */
export class RunGate {
  readonly #places: number;
  readonly #waiting: Waiting[] = [];
  #running = 0;
  #alone = false;

  /** `places`: passes that may run at once, of all models together. */
  constructor(places: number) {
    this.#places = places;
  }

  /** Resolves to the function that leaves. */
  async enter(alone: boolean): Promise<() => void> {
    await new Promise<void>((resolve) => {
      this.#waiting.push({ alone, enter: resolve });
      this.#admit();
    });
    return () => {
      this.#running--;
      this.#alone = false;
      this.#admit();
    };
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      if (this.#alone || this.#running === this.#places || (next.alone && this.#running > 0)) return;
      this.#waiting.shift();
      this.#running++;
      this.#alone = next.alone;
      next.enter();
    }
  }
}
