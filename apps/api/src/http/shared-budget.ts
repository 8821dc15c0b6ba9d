/**
 * An amount that tenants share, so that none can use it up: a tenant may hold as much as it leaves free. Alone it gets half
 * of all, two get a third each, and whoever comes next still finds a share as large as theirs (dynamic thresholds:
 * Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998).
 */
export class SharedBudget {
  readonly #total: number;
  readonly #held = new Map<string, number>();
  #sum = 0;

  constructor(total: number) {
    this.#total = total;
  }

  /** False, and nothing is taken, where the tenant would then hold more than is left free. */
  take(tenant: string, amount: number): boolean {
    const own = (this.#held.get(tenant) ?? 0) + amount;
    if (own > this.#total - this.#sum - amount) return false;
    this.#held.set(tenant, own);
    this.#sum += amount;
    return true;
  }

  /** Gives back what was taken. */
  give(tenant: string, amount: number): void {
    const own = (this.#held.get(tenant) ?? 0) - amount;
    if (own > 0) this.#held.set(tenant, own);
    else this.#held.delete(tenant);
    this.#sum -= amount;
  }
}
