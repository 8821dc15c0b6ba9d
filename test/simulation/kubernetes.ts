/**
 * How KEDA and the HPA it creates turn a metric in replicas into replicas: KEDA between 0 and 1, the HPA above. Settings as
 * in k8s/: polling 5 s, cooldown 300 s; sync 15 s, tolerance 10 %, up by max(100 %, 4 pods) a sync, down by at most 25 % a
 * minute and to no less than the highest wish of the last 300 s.
 */

const POLL_SECONDS = 5;
const COOLDOWN_SECONDS = 300;
const SYNC_SECONDS = 15;
const TOLERANCE = 0.1;
const STABILISATION_SECONDS = 300;
const DOWN_SHARE = 0.25;
const DOWN_SECONDS = 60;
const MAX_REPLICAS = 40;
/** Guards against 3.0000000001 being rounded up to 4. */
const EPSILON = 1e-9;

export class Kubernetes {
  readonly #coldStartSeconds: number;
  #ready = 0;
  /** When each pod that starts will be ready. */
  #starting: number[] = [];
  #wishes: { readonly t: number; readonly replicas: number }[] = [];
  #removals: { readonly t: number; readonly replicas: number }[] = [];
  #lastActive = Number.NEGATIVE_INFINITY;
  #events = 0;

  constructor(coldStartSeconds: number) {
    this.#coldStartSeconds = coldStartSeconds;
  }

  /** Replicas that work in second `t`. */
  readyAt(t: number): number {
    const waiting = this.#starting.filter((at) => at > t);
    this.#ready += this.#starting.length - waiting.length;
    this.#starting = waiting;
    return this.#ready;
  }

  /** Replicas that are paid for: those that work and those that start. */
  get replicas(): number {
    return this.#ready + this.#starting.length;
  }

  /** How often the number of replicas was changed. */
  get events(): number {
    return this.#events;
  }

  /**
   * What the controllers do in second `t`, where the metric says that `needed` replicas are needed. Where it cannot be had
   * (null), what runs is kept, one replica at least.
   */
  control(t: number, metric: number | null): void {
    const needed = metric ?? Math.max(1, this.replicas);
    if (t % POLL_SECONDS === 0) this.#poll(t, needed > 0);
    // The HPA does nothing at 0 replicas.
    if (t % SYNC_SECONDS === 0 && this.replicas > 0) this.#sync(t, needed);
  }

  #poll(t: number, active: boolean): void {
    if (active) {
      this.#lastActive = t;
      if (this.replicas === 0) this.#add(t, 1);
    } else if (this.replicas > 0 && t - this.#lastActive > COOLDOWN_SECONDS) {
      this.#remove(t, this.replicas);
    }
  }

  #sync(t: number, needed: number): void {
    const present = this.replicas;
    const near = Math.abs(needed / present - 1) <= TOLERANCE;
    const wish = Math.min(MAX_REPLICAS, near ? present : Math.max(1, Math.ceil(needed - EPSILON)));
    this.#wishes = [...this.#wishes.filter((past) => past.t >= t - STABILISATION_SECONDS), { t, replicas: wish }];
    if (wish > present) {
      this.#add(t, Math.min(wish, Math.max(2 * present, present + 4)) - present);
    } else if (wish < present) {
      this.#removals = this.#removals.filter((past) => past.t > t - DOWN_SECONDS);
      const removed = this.#removals.reduce((sum, { replicas }) => sum + replicas, 0);
      const lowest = Math.floor((present + removed) * (1 - DOWN_SHARE));
      const stable = Math.max(...this.#wishes.map(({ replicas }) => replicas));
      const next = Math.max(1, stable, lowest);
      if (next < present) this.#remove(t, present - next);
    }
  }

  #add(t: number, replicas: number): void {
    for (let n = 0; n < replicas; n++) this.#starting.push(t + this.#coldStartSeconds);
    this.#events++;
  }

  /** Pods that are not ready go first. */
  #remove(t: number, replicas: number): void {
    const unready = Math.min(replicas, this.#starting.length);
    this.#starting.length -= unready;
    this.#ready -= replicas - unready;
    this.#removals.push({ t, replicas });
    this.#events++;
  }
}
