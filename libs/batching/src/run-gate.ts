/** Lets some forward passes run side by side, and one alone when it must: an item suspected of ending its process. */
import type { Clock } from './clock.js';
import { WorkClock } from './work-clock.js';

/** A forward pass's place on the device, from when it may start until it has ended. */
export interface Place {
  /** The next may start. Returns the seconds of the replica's work that were this pass's own; again, if called again. */
  leave(): number;
}

/** What a model's passes go through: a RunGate, or its side for passes that take several of its places. */
export type Gate = Pick<RunGate, 'places' | 'sideBySide' | 'enter'>;

interface Waiting {
  readonly alone: boolean;
  /** Of the gate's. */
  readonly places: number;
  readonly enter: () => void;
}

export interface RunGateOptions {
  /** Passes that may be under way at once, of all models together. */
  readonly places: number;
  /** How many of them run at the same time; the others wait for these. All, where left out. */
  readonly sideBySide?: number;
  readonly clock: Pick<Clock, 'now'>;
}

/** One per process, shared by all its models. First come, first served. */
export class RunGate {
  readonly places: number;
  readonly sideBySide: number;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #work: WorkClock;
  readonly #waiting: Waiting[] = [];
  /** Places that are taken. */
  #running = 0;
  #alone = false;

  constructor({ places, sideBySide = places, clock }: RunGateOptions) {
    this.places = places;
    this.sideBySide = sideBySide;
    this.#clock = clock;
    this.#work = new WorkClock(sideBySide);
  }

  /** For passes that take the place of `threads` others each: as many threads as these have together share one of them. */
  forThreads(threads: number): Gate {
    const taken = Math.min(threads, this.places);
    if (taken === 1) return this;
    return {
      places: Math.floor(this.places / taken),
      sideBySide: Math.max(1, Math.floor(this.sideBySide / taken)),
      enter: (alone) => this.enter(alone, taken),
    };
  }

  /** `alone`: with nothing else under way. `places`: that it takes, at most all. */
  async enter(alone: boolean, places = 1): Promise<Place> {
    await new Promise<void>((resolve) => {
      this.#waiting.push({ alone, places, enter: resolve });
      this.#admit();
    });
    const entered = this.#work.enter(this.#clock.now(), places);
    let seconds: number | undefined;
    return {
      leave: () => {
        if (seconds !== undefined) return seconds;
        seconds = this.#work.leave(entered, this.#clock.now(), places);
        this.#running -= places;
        this.#alone = false;
        this.#admit();
        return seconds;
      },
    };
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      if (this.#alone || this.#running + next.places > this.places || (next.alone && this.#running > 0)) return;
      this.#waiting.shift();
      this.#running += next.places;
      this.#alone = next.alone;
      next.enter();
    }
  }
}
