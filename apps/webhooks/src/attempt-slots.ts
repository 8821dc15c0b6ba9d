/**
 * Who may make an attempt now: so many of the process at once, of these so many of one tenant, of these so many to one
 * receiver. Whoever finds no room gives its place up and is called when it is its turn, so that a slow receiver holds up
 * nobody else and nobody asks again and again.
 *
 * A tenant may have as many attempts as there are slots left (the dynamic thresholds of Choudhury and Hahne, 1998): alone
 * half of them, two that want all a third each, and some are always left for who comes next. A receiver's limit follows it
 * as TCP follows a network: halved by a time-out, one more after each answer.
 */

/** Whose attempt it is, and to whom. */
export interface Lane {
  readonly tenant: string;
  readonly receiver: string;
}

export interface SlotLimits {
  /** Attempts of this process at once. */
  readonly total: number;
  /** Of these, to one receiver. */
  readonly perReceiver: number;
  /** Most of one tenant that wait and are called; more come back by themselves. */
  readonly remembered: number;
}

/**
 * A receiver that answers keeps its turn for so many messages: turns are then shared by time rather than by number, and one
 * that is quick does not get a message each time that all those that are silent have timed out once.
 */
const IN_A_TURN = 32;

interface Receiver {
  active: number;
  limit: number;
  /** Messages that are left of its turn. */
  left: number;
  /** In the order in which they came; who was called and found the room taken again goes first. */
  readonly first: Set<string>;
  readonly waiting: Set<string>;
}

interface Tenant {
  active: number;
  waiting: number;
  readonly receivers: Map<string, Receiver>;
  /** Who was called and has not come yet; another process may have it, so the oldest are forgotten. */
  readonly called: Set<string>;
  /** Receivers with room that somebody waits for, the one whose turn is next first. */
  ready: Set<string>;
}

/** What became of a slot: the receiver answered, it did not in time, or nothing was sent. */
export type SlotUse = 'answered' | 'timed out' | 'unused';

export class AttemptSlots {
  readonly #limits: SlotLimits;
  readonly #tenants = new Map<string, Tenant>();
  /** Tenants with receivers that are ready, the one whose turn is next first. */
  readonly #ready = new Set<string>();
  #active = 0;

  constructor(limits: SlotLimits) {
    this.#limits = limits;
  }

  /** True where there is room: then `leave` must follow. */
  enter(lane: Lane, id: string): boolean {
    const before = this.#tenants.get(lane.tenant);
    const { active, limit } = before?.receivers.get(lane.receiver) ?? { active: 0, limit: this.#limits.perReceiver };
    if (active >= limit || !this.#hasRoom(before)) return false;
    this.#change(lane, (tenant, receiver) => {
      this.#active += 1;
      tenant.active += 1;
      receiver.active += 1;
      if (receiver.first.delete(id) || receiver.waiting.delete(id)) tenant.waiting -= 1;
      tenant.called.delete(id);
    });
    return true;
  }

  /** How many of a tenant are remembered. */
  waiting(tenant: string): number {
    return this.#tenants.get(tenant)?.waiting ?? 0;
  }

  /** How many tenants anything is known of. */
  get tenants(): number {
    return this.#tenants.size;
  }

  /** Remembers who found no room. Somebody's turn may have come meanwhile: whose is returned. */
  wait(lane: Lane, id: string): Turn[] {
    this.#change(lane, (tenant, receiver) => {
      if (receiver.first.has(id) || receiver.waiting.has(id)) return;
      const again = tenant.called.delete(id);
      if (!again && tenant.waiting >= this.#limits.remembered) return;
      (again ? receiver.first : receiver.waiting).add(id);
      // Its receiver's turn was lost to whoever came in between.
      if (again) tenant.ready = new Set([lane.receiver, ...tenant.ready]);
      tenant.waiting += 1;
    });
    return this.#call(lane.tenant, 1);
  }

  /** After `enter`: whose turn it is now. */
  leave(lane: Lane, use: SlotUse): Turn[] {
    let more = 0;
    this.#change(lane, (tenant, receiver) => {
      this.#active -= 1;
      tenant.active -= 1;
      receiver.active -= 1;
      const before = receiver.limit;
      if (use === 'timed out') receiver.limit = Math.max(1, Math.floor(before / 2));
      if (use === 'answered') receiver.limit = Math.min(this.#limits.perReceiver, before + 1);
      more = Math.max(0, receiver.limit - before);
    });
    return this.#call(lane.tenant, 1 + more, use === 'answered' ? lane.receiver : undefined);
  }

  /** Whoever was called is not there: whose turn it is instead. */
  skip(lane: Lane, id: string): Turn[] {
    this.#change(lane, (tenant) => tenant.called.delete(id));
    return this.#call(lane.tenant, 1);
  }

  #hasRoom(tenant: Tenant | undefined): boolean {
    return (tenant?.active ?? 0) < this.#limits.total - this.#active;
  }

  /** Up to `count`, the tenant's own first and of these those whose turn it was: then receivers and tenants by turns. */
  #call(own: string, count: number, receiver?: string): Turn[] {
    const turns: Turn[] = [];
    for (const name of new Set([own, ...this.#ready])) {
      while (turns.length < count) {
        const turn = this.#callOne(name, name === own ? receiver : undefined);
        if (turn === undefined) break;
        turns.push(turn);
      }
      if (turns.length === count) break;
    }
    return turns;
  }

  #callOne(name: string, last: string | undefined): Turn | undefined {
    const tenant = this.#tenants.get(name);
    if (tenant === undefined || !this.#hasRoom(tenant)) return undefined;
    const goesOn = last !== undefined && tenant.ready.has(last) && tenant.receivers.get(last)!.left > 0;
    const receiver = goesOn ? last : tenant.ready.values().next().value;
    if (receiver === undefined) return undefined;
    const lane = { tenant: name, receiver };
    let id = '';
    this.#change(lane, (_, state) => {
      const from = state.first.size > 0 ? state.first : state.waiting;
      id = from.values().next().value ?? '';
      from.delete(id);
      tenant.waiting -= 1;
      state.left = (goesOn ? state.left : IN_A_TURN) - 1;
      tenant.called.add(id);
      const [oldest] = tenant.called;
      if (tenant.called.size > this.#limits.total && oldest !== undefined) tenant.called.delete(oldest);
      // To the end of the line.
      tenant.ready.delete(receiver);
      this.#ready.delete(name);
    });
    return { ...lane, id };
  }

  /** Applies `change`, then notes who is ready and forgets who has nothing going on. */
  #change({ tenant: name, receiver: key }: Lane, change: (tenant: Tenant, receiver: Receiver) => void): void {
    const tenant = this.#tenants.get(name) ?? newTenant();
    const receiver = tenant.receivers.get(key) ?? this.#newReceiver();
    change(tenant, receiver);
    const waiting = receiver.first.size + receiver.waiting.size;
    keep(tenant.ready, key, waiting > 0 && receiver.active < receiver.limit);
    keep(this.#ready, name, tenant.ready.size > 0);
    if (receiver.active + waiting > 0) tenant.receivers.set(key, receiver);
    else tenant.receivers.delete(key);
    if (tenant.receivers.size > 0) this.#tenants.set(name, tenant);
    else this.#tenants.delete(name);
  }

  #newReceiver(): Receiver {
    return {
      active: 0,
      limit: this.#limits.perReceiver,
      left: IN_A_TURN,
      first: new Set(),
      waiting: new Set(),
    };
  }
}

/** Whose turn it is. */
export interface Turn extends Lane {
  readonly id: string;
}

function newTenant(): Tenant {
  return { active: 0, waiting: 0, receivers: new Map(), called: new Set(), ready: new Set() };
}

function keep(set: Set<string>, entry: string, there: boolean): void {
  if (there) set.add(entry);
  else set.delete(entry);
}
