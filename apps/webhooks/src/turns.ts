/**
 * How many attempts one receiver may have at once. Whoever finds no room gives its place up and is called when it is its
 * turn, so that a slow receiver holds up nobody else and nobody asks again and again.
 *
 * The limit follows the receiver as TCP follows a network: halved by a time-out, one more after each answer.
 */

interface Receiver {
  active: number;
  limit: number;
  /** In the order in which they came; who was called and found the room taken again goes first. */
  readonly first: Set<string>;
  readonly waiting: Set<string>;
  readonly called: Set<string>;
}

export class Turns {
  readonly #most: number;
  readonly #remembered: number;
  readonly #receivers = new Map<string, Receiver>();

  /** `most` attempts of one receiver at once; at most `remembered` that wait for each are called, others are not. */
  constructor(most: number, remembered: number) {
    this.#most = most;
    this.#remembered = remembered;
  }

  /** True where there is room: then `leave` must follow. */
  enter(receiver: string, id: string): boolean {
    const state = this.#receivers.get(receiver) ?? this.#add(receiver);
    if (state.active >= state.limit) return false;
    state.active += 1;
    for (const set of [state.first, state.waiting, state.called]) set.delete(id);
    return true;
  }

  /** How many are remembered. */
  waiting(receiver: string): number {
    const state = this.#receivers.get(receiver);
    return state === undefined ? 0 : state.first.size + state.waiting.size;
  }

  /** Remembers who found no room. Somebody's turn may have come meanwhile: whose is returned. */
  wait(receiver: string, id: string): string[] {
    const state = this.#receivers.get(receiver) ?? this.#add(receiver);
    if (state.called.delete(id)) state.first.add(id);
    else if (state.waiting.size < this.#remembered) state.waiting.add(id);
    return state.active < state.limit ? this.#call(state, 1) : [];
  }

  /** After `enter`: whose turn it is now. */
  leave(receiver: string, timedOut: boolean): string[] {
    const state = this.#receivers.get(receiver);
    if (state === undefined) return [];
    state.active -= 1;
    const before = state.limit;
    state.limit = timedOut ? Math.max(1, Math.floor(before / 2)) : Math.min(this.#most, before + 1);
    const room = state.limit - state.active;
    const next = this.#call(state, Math.min(room, 1 + Math.max(0, state.limit - before)));
    if (state.active === 0 && state.first.size + state.waiting.size + state.called.size === 0) {
      this.#receivers.delete(receiver);
    }
    return next;
  }

  /** Whoever was called is not there: whose turn it is instead. */
  skip(receiver: string, id: string): string[] {
    const state = this.#receivers.get(receiver);
    if (state === undefined) return [];
    state.called.delete(id);
    return state.active < state.limit ? this.#call(state, 1) : [];
  }

  #call(state: Receiver, count: number): string[] {
    const next: string[] = [];
    for (const set of [state.first, state.waiting]) {
      for (const id of set) {
        if (next.length >= count) return next;
        set.delete(id);
        state.called.add(id);
        next.push(id);
      }
    }
    return next;
  }

  #add(receiver: string): Receiver {
    const state = {
      active: 0,
      limit: this.#most,
      first: new Set<string>(),
      waiting: new Set<string>(),
      called: new Set<string>(),
    };
    this.#receivers.set(receiver, state);
    return state;
  }
}
