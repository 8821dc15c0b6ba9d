/** Whether a tenant is alone: who is may have all of the process, and who is not leaves some of it to the others. */

/** How long after its last request a tenant still counts, in ms. */
const PRESENT_MS = 1000;

interface Visit {
  readonly tenant: string;
  at: number;
}

export class Company {
  readonly #now: () => number;
  #latest: Visit = { tenant: '', at: Number.NEGATIVE_INFINITY };
  /** The latest of any tenant but that one. */
  #other: Visit = this.#latest;

  /** `now`: ms of a clock that never goes back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A request of the tenant has come. */
  note(tenant: string): void {
    if (tenant !== this.#latest.tenant) {
      this.#other = this.#latest;
      this.#latest = { tenant, at: 0 };
    }
    this.#latest.at = this.#now();
  }

  /** Whether another tenant has been here lately. */
  besides(tenant: string): boolean {
    const { at } = tenant === this.#latest.tenant ? this.#other : this.#latest;
    return this.#now() - at < PRESENT_MS;
  }
}
