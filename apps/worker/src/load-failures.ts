/** Models that did not load, why, and when each is tried again: what was in the way (memory, a disk) may have gone. */
import { ShoalError } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import type { LoadFailure } from '@shoal/queue';

const FIRST_MS = 10_000;
const LONGEST_MS = 300_000;

/** Most characters of a reason as others are told it. */
const MAX_REASON = 300;

interface Failure {
  readonly error: unknown;
  readonly lasting: boolean;
  readonly tries: number;
  readonly at: number;
  dueAt: number;
}

export class LoadFailures {
  /** By model, which is another object once its folder has changed. */
  readonly #failures = new Map<Model, Failure>();
  readonly #now: () => number;

  /** `now`: ms of a clock that only goes forward. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** `forGood`: another try would end the same way as long as its files are these. */
  add(model: Model, error: unknown, { forGood = false } = {}): void {
    const tries = (this.#failures.get(model)?.tries ?? 0) + 1;
    const at = this.#now();
    const wait = forGood ? Number.POSITIVE_INFINITY : Math.min(FIRST_MS * 2 ** (tries - 1), LONGEST_MS);
    const lasting = forGood || (error instanceof ShoalError && error.code === 'model_invalid');
    this.#failures.set(model, { error, lasting, tries, at, dueAt: at + wait });
  }

  /** True where there was one. */
  delete(model: Model): boolean {
    return this.#failures.delete(model);
  }

  get models(): ReadonlySet<Model> {
    return new Set(this.#failures.keys());
  }

  /** As all processes are told it. */
  get told(): LoadFailure[] {
    return [...this.#failures].map(([model, { error, lasting }]) => ({
      ...{ queue: model.queue, reason: reasonOf(error, model), lasting },
    }));
  }

  /** Why the first of them did not load. */
  get reason(): unknown {
    return [...this.#failures.values()][0]?.error;
  }

  /** Those that may be tried again now. */
  get due(): ReadonlySet<Model> {
    const now = this.#now();
    return new Set([...this.#failures].filter(([, { dueAt }]) => dueAt <= now).map(([model]) => model));
  }

  /** Somebody asks for them: they are due at once. */
  hurry(asked: (model: Model) => boolean): void {
    for (const [model, failure] of this.#failures) {
      if (asked(model) && failure.dueAt !== Number.POSITIVE_INFINITY) failure.dueAt = this.#now();
    }
  }

  /** There is more memory than before: they wait no longer than after the first try. */
  memoryFreed(): void {
    for (const failure of this.#failures.values()) {
      if (failure.dueAt !== Number.POSITIVE_INFINITY) failure.dueAt = Math.min(failure.dueAt, failure.at + FIRST_MS);
    }
  }
}

/** In a line for whoever asks for the model: files by their names alone, and nothing of this machine but them. */
function reasonOf(error: unknown, { folder }: Model): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = text
    .replaceAll(`${folder}/`, '')
    .replaceAll(/(?<![\w/:.])\/(?:[^\s/:"']+\/)+/g, '')
    .replaceAll(/\s+/g, ' ');
  return line.length > MAX_REASON ? `${line.slice(0, MAX_REASON)}...` : line.trim();
}
