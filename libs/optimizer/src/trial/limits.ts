/** How long a trial may take: at most until the run has to end, and by itself not as long as what hangs. */

/** Longest delay that timers have. */
const MOST_MS = 2 ** 31 - 1;

export interface LimitsMs {
  /** Longest time that it may take, in ms. */
  readonly limitMs: number;
  /** The same of what it does itself, without the time that it waits for a teacher elsewhere; left out: as long as it may take. */
  readonly patienceMs?: number;
}

export class Limits {
  readonly #patienceMs: number | undefined;
  readonly #onLate: () => void;
  readonly #end: NodeJS.Timeout;
  #patience: NodeJS.Timeout | undefined;

  constructor({ limitMs, patienceMs }: LimitsMs, onLate: () => void) {
    this.#patienceMs = patienceMs;
    this.#onLate = onLate;
    this.#end = setTimeout(onLate, Math.min(limitMs, MOST_MS));
    this.wait(false);
  }

  /** Whether it waits for somebody else. What it does itself counts anew from the end of that. */
  wait = (waits: boolean): void => {
    clearTimeout(this.#patience);
    if (waits || this.#patienceMs === undefined) return;
    this.#patience = setTimeout(this.#onLate, Math.min(this.#patienceMs, MOST_MS));
  };

  clear(): void {
    clearTimeout(this.#end);
    clearTimeout(this.#patience);
  }
}
