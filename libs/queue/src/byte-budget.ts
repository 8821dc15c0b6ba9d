/** Bytes that may be on their way at once, for each tenant and in all: who would exceed either waits for its turn. */

interface Waiting {
  readonly tenant: string;
  readonly bytes: number;
  readonly start: () => void;
}

export class ByteBudget {
  readonly #perTenant: number;
  readonly #inAll: number;
  readonly #used = new Map<string, number>();
  #total = 0;
  #waiting: Waiting[] = [];

  constructor(perTenant: number, inAll: number) {
    this.#perTenant = perTenant;
    this.#inAll = inAll;
  }

  /** Runs `read` once there is room for `bytes`; what is larger than a budget runs when nothing else of it does. */
  async spend<T>(tenant: string, bytes: number, read: () => Promise<T>): Promise<T> {
    await new Promise<void>((start) => {
      this.#waiting.push({ tenant, bytes, start });
      this.#admit();
    });
    try {
      return await read();
    } finally {
      this.#take(tenant, -bytes);
      this.#admit();
    }
  }

  /** In the order of their coming, but nobody waits for another tenant's budget. */
  #admit(): void {
    const left: Waiting[] = [];
    const full = new Set<string>();
    for (const waiting of this.#waiting) {
      const { tenant, bytes, start } = waiting;
      const used = this.#used.get(tenant) ?? 0;
      const fits = fitsIn(used, bytes, this.#perTenant) && fitsIn(this.#total, bytes, this.#inAll);
      if (fits && !full.has(tenant)) {
        this.#take(tenant, bytes);
        start();
      } else {
        full.add(tenant);
        left.push(waiting);
      }
    }
    this.#waiting = left;
  }

  #take(tenant: string, bytes: number): void {
    const used = (this.#used.get(tenant) ?? 0) + bytes;
    if (used > 0) this.#used.set(tenant, used);
    else this.#used.delete(tenant);
    this.#total += bytes;
  }
}

function fitsIn(used: number, bytes: number, budget: number): boolean {
  return used === 0 || used + bytes <= budget;
}
