/** Whether jobs can be taken: the process is not stopping, it serves a model, and Redis answers. */
import { type Catalog } from '@shoal/intake';
import type { JobStore } from '@shoal/queue';

export class Readiness {
  #stopping = false;

  constructor(
    private readonly store: JobStore,
    private readonly catalog: Catalog,
  ) {}

  /** From now on not ready, so that a load balancer stops sending requests here. */
  stop(): void {
    this.#stopping = true;
  }

  /** Why no jobs can be taken now; null where they can. */
  async obstacle(): Promise<string | null> {
    if (this.#stopping) return 'stopping';
    if (this.catalog.list().length === 0) return 'no model is served';
    return this.store.ping().then(
      () => null,
      (error: Error) => error.message,
    );
  }
}
