/** Items that a bare consumer holds, one after the other as they were claimed. */
import type { ClaimedItem, Outcome } from '@shoal/queue';

export interface Claim {
  readonly item: ClaimedItem;
  /** Tells the consumer what became of the item. */
  settle(outcome: Outcome): void;
}

export class Claims {
  readonly #all: Claim[] = [];
  #next = 0;
  #wake = () => {};
  /** Of whatever comes from now on. */
  #outcome: Outcome | undefined;

  /** Items that were taken so far. */
  get count(): number {
    return this.#all.length;
  }

  /** An engine's `take`. */
  take(item: ClaimedItem): Promise<Outcome> {
    if (this.#outcome) return Promise.resolve(this.#outcome);
    return new Promise((resolve) => {
      this.#all.push({ item, settle: resolve });
      this.#wake();
    });
  }

  /** The next `count` claims that were not asked for before. */
  async next(count: number): Promise<Claim[]> {
    while (this.#all.length < this.#next + count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#next += count;
    return this.#all.slice(this.#next - count, this.#next);
  }

  /** Those that were taken, and those that are still to come: a chunk may be on its way here. */
  settleAll(outcome: Outcome): void {
    this.#outcome = outcome;
    for (const claim of this.#all) claim.settle(outcome);
  }
}
