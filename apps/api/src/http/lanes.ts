/** Work that needs memory or a core: so much at once, and of one tenant less; whose turn it is goes round the tenants. */

interface Waiting {
  readonly size: number;
  begin(): void;
}

/**
 * Ends work; calling it again does nothing. Others may begin at once, the tenant itself counts as working for so many ms more.
 */
export type Leave = (restMs?: number) => void;

export class Lanes {
  readonly #perTenant: number;
  #free: number;
  readonly #running = new Map<string, number>();
  /** Who waits, in the order in which tenants are served next. */
  readonly #waiting = new Map<string, Waiting[]>();

  /** In whatever unit `enter` counts. */
  constructor(total: number, perTenant: number) {
    this.#free = total;
    this.#perTenant = perTenant;
  }

  /**
   * Resolves when it is the tenant's turn, to the function that ends it. Work that is larger than a tenant's part takes all of
   * it.
   */
  async enter(tenant: string, asked = 1): Promise<Leave> {
    const size = Math.min(asked, this.#perTenant);
    await new Promise<void>((begin) => {
      const line = this.#waiting.get(tenant) ?? [];
      line.push({ size, begin });
      this.#waiting.set(tenant, line);
      this.#next();
    });
    return this.#end(tenant, size);
  }

  /** As `enter`, or null where the tenant would have to wait. */
  enterAtOnce(tenant: string, asked = 1): Leave | null {
    const size = Math.min(asked, this.#perTenant);
    if (this.#waiting.has(tenant) || !this.#hasRoom(tenant, size)) return null;
    this.#start(tenant, size);
    return this.#end(tenant, size);
  }

  #end(tenant: string, size: number): Leave {
    let open = true;
    return (restMs = 0) => {
      if (!open) return;
      open = false;
      this.#free += size;
      if (restMs > 0) setTimeout(() => this.#rested(tenant, size), restMs);
      else this.#rested(tenant, size);
      this.#next();
    };
  }

  #hasRoom(tenant: string, size: number): boolean {
    return size <= this.#free && (this.#running.get(tenant) ?? 0) + size <= this.#perTenant;
  }

  #start(tenant: string, size: number): void {
    this.#running.set(tenant, (this.#running.get(tenant) ?? 0) + size);
    this.#free -= size;
  }

  #next(): void {
    for (let begun = true; begun; ) {
      begun = false;
      for (const tenant of [...this.#waiting.keys()]) begun = this.#begin(tenant) || begun;
    }
  }

  /** One turn of a tenant, where there is room for it. */
  #begin(tenant: string): boolean {
    const line = this.#waiting.get(tenant)!;
    const { size, begin } = line[0]!;
    if (!this.#hasRoom(tenant, size)) return false;
    line.shift();
    // Behind the others, so that each gets a turn before this one's next.
    this.#waiting.delete(tenant);
    if (line.length > 0) this.#waiting.set(tenant, line);
    this.#start(tenant, size);
    begin();
    return true;
  }

  #rested(tenant: string, size: number): void {
    const running = this.#running.get(tenant)! - size;
    if (running > 0) this.#running.set(tenant, running);
    else this.#running.delete(tenant);
    this.#next();
  }
}
