/**
 * Follows the repository and the workers: models are in the catalog, and their queues are served, as soon as their folders are
 * whole; which workers have them, and what is wished, is told there as well.
 */
import { formatSelector, ShoalError } from '@shoal/contracts';
import {
  type Aliases,
  createModelFace,
  type Model,
  NO_ALIASES,
  type Repository,
  type RepositoryWatch,
  selects,
  watchRepository,
} from '@shoal/models';
import {
  type BoardState,
  type ModelBoard,
  type OpenJobStore,
  type ProcessModels,
  parseQueue,
  repeat,
  type Wish,
} from '@shoal/queue';
import { type Logger, logRarely } from '@shoal/telemetry';
import { type Catalog, type Failed, failedError, type ServedVersion, type Standing } from './catalog.js';
import { boundOf } from './within-loss.js';

/** Between two exchanges with the board. */
const TELL_MS = 1000;
/** Jobs of a queue that no process serves fail after so long: one that restarts is back by then. */
const ABANDON_MS = 30_000;
/**
 * And those of one that no worker can load though it might (memory, a disk, a device) after so long: they are tried at least
 * every five minutes.
 */
const PATIENCE_MS = 600_000;

/** What jobs are told that nobody will run. */
const GONE = 'the model was taken away before the job could run, and no worker has it any more';

/** What callers are told of a name that turns out not to be served, though there is a folder for it. */
const BROKEN = 'This model cannot be loaded; the log of the server says why.';

export interface LiveModelsOptions {
  readonly folder: string;
  readonly catalog: Catalog;
  readonly store: Pick<OpenJobStore, 'serve' | 'everServed' | 'busy' | 'abandon'>;
  readonly board: Pick<ModelBoard, 'exchange' | 'wish'>;
  readonly logger: Logger;
  /** Unix ms. */
  readonly clock: () => number;
  /** Ms of a clock that only goes forward. */
  readonly now: () => number;
}

export class LiveModels {
  readonly #options: LiveModelsOptions;
  #watch: RepositoryWatch | undefined;
  /** By their first model, which is another object once the folder has changed; null where it cannot be served. */
  #versions = new Map<Model, ServedVersion | null>();
  #models: readonly Model[] = [];
  #aliases: Aliases = NO_ALIASES;
  #queues: ReadonlyMap<string, readonly string[]> = new Map();
  #board: BoardState = { wishes: new Map(), marks: new Map(), processes: [] };
  /** Queues that a worker has served, ever. */
  readonly #everServed = new Set<string>();
  /** Queues with work that no process serves, since when. */
  #orphans = new Map<string, number>();
  #stopTelling: () => Promise<void> = async () => {};

  constructor(options: LiveModelsOptions) {
    this.#options = options;
  }

  /** The queues of each model: one per version and variant. */
  get queues(): ReadonlyMap<string, readonly string[]> {
    return this.#queues;
  }

  /** Resolves when what is there is served. @throws ShoalError `model_invalid` where the folder cannot be read */
  async start(): Promise<void> {
    const { folder, logger, clock } = this.#options;
    const watch = await watchRepository(folder, {
      onProblem: ({ folder, message, served }) =>
        logger.warn(served ? 'quality.ignored' : 'model.skipped', { folder, reason: message }),
      onTrouble: logRarely(logger, 'models.unseen', clock),
    });
    await this.#apply(watch.current);
    this.#watch = watch;
    const onTrouble = logRarely(logger, 'models.untold', clock);
    await this.#tell().catch(onTrouble);
    this.#stopTelling = repeat(TELL_MS, () => this.#tell(), onTrouble);
    watch.start((repository) => this.#apply(repository));
  }

  async stop(): Promise<void> {
    await Promise.all([this.#watch?.stop(), this.#stopTelling()]);
  }

  /** Rejects with `redis_unavailable`. */
  async wish(selector: string, wish: Wish): Promise<void> {
    await this.#options.board.wish(selector, wish);
    // The wish is there for all: where this process cannot read it now it does with the next exchange.
    await this.#tell().catch(() => undefined);
  }

  async #tell(): Promise<void> {
    const { board, catalog } = this.#options;
    const { wanted } = catalog;
    this.#board = await board.exchange({
      ...{ role: 'api', queues: [...this.#queues.values()].flat() },
      ...(wanted.length > 0 && { wanted }),
    });
    const standing = await this.#standing();
    catalog.note(standing);
    await this.#abandon(new Set(this.#board.processes.flatMap(({ queues }) => queues)), standing.failed);
  }

  async #standing(): Promise<Standing> {
    const { wishes, processes } = this.#board;
    const workers = new Map<string, number>();
    for (const { role, queues } of processes) {
      if (role === 'worker') for (const queue of queues) workers.set(queue, (workers.get(queue) ?? 0) + 1);
    }
    const failed = failedOf(processes.filter(({ role }) => role === 'worker'));
    for (const queue of workers.keys()) failed.delete(queue);
    return { wishes, workers, awaited: await this.#awaited(workers), failed };
  }

  /**
   * Of what no worker has ever loaded, the queues of versions beside others, of models that have a share of an alias, and of
   * variants that requests get by what they allow: they are loaded soon, or fail to.
   */
  async #awaited(workers: ReadonlyMap<string, number>): Promise<ReadonlySet<string>> {
    for (const queue of workers.keys()) this.#everServed.add(queue);
    const firsts = [...this.#versions.keys()].filter(({ name, queue }, _, all) =>
      all.some((other) => other.name === name && other.queue !== queue),
    );
    const targets = [...this.#aliases.values()].flatMap((shares) => (shares.length > 1 ? shares : []));
    const sharing = this.#models.filter((model) => targets.some(({ target }) => selects(target, model)));
    const lossy = this.#models.filter(
      (model) => model.variant !== model.original && boundOf(model) < Number.POSITIVE_INFINITY,
    );
    const queues = [...firsts, ...sharing, ...lossy].map(({ queue }) => queue);
    const awaited = new Set(queues.filter((queue) => !this.#everServed.has(queue)));
    if (awaited.size === 0) return awaited;
    for (const queue of await this.#options.store.everServed([...awaited])) {
      this.#everServed.add(queue);
      awaited.delete(queue);
    }
    return awaited;
  }

  /**
   * Jobs whose model nobody has any more, neither in its folder nor in memory, or that no worker can load, fail instead of
   * waiting for ever.
   */
  async #abandon(served: ReadonlySet<string>, failed: Standing['failed']): Promise<void> {
    const { store, logger, now } = this.#options;
    const at = now();
    const orphans = (await store.busy()).filter((queue) => !served.has(queue) || failed.get(queue)?.everywhere);
    this.#orphans = new Map(orphans.map((queue) => [queue, this.#orphans.get(queue) ?? at]));
    for (const [queue, since] of this.#orphans) {
      const failure = served.has(queue) ? failed.get(queue) : undefined;
      if (at - since < (failure?.lasting === false ? PATIENCE_MS : ABANDON_MS)) continue;
      this.#orphans.delete(queue);
      const error =
        failure === undefined ? new ShoalError('model_not_found', GONE) : failedError(parseQueue(queue), failure);
      logger.warn('queue.abandoned', { queue, reason: error.message });
      await store.abandon(queue, error);
    }
  }

  async #apply({ models, aliases, problems }: Repository): Promise<void> {
    const { catalog, store, logger } = this.#options;
    const before = this.#versions;
    const versions = await Promise.all(
      groups(models).map(async (variants): Promise<[Model, ServedVersion | null]> => {
        const [first] = variants as [Model];
        const known = before.get(first);
        return [first, known === undefined ? await this.#serve(first, variants) : known];
      }),
    );
    await store.serve(models.map(({ queue, shoal }) => ({ name: queue, capTokens: shoal.limits?.max_queued_tokens })));
    this.#versions = new Map(versions);
    this.#queues = queuesOf(models);
    [this.#models, this.#aliases] = [models, aliases];
    // Before a version is offered: whether it takes the place of another at once.
    const standing = await this.#standing();
    catalog.update({
      versions: versions.flatMap(([, version]) => version ?? []),
      aliases,
      unserved: new Map([
        ...models.map(({ name }) => [name, BROKEN] as const),
        ...problems.flatMap(({ folder, served }) => {
          if (served) return [];
          const [name, version] = folder.split('/') as [string, string?];
          return [name, ...(version === undefined ? [] : [formatSelector({ name, version, variant: undefined })])].map(
            (asked) => [asked, BROKEN] as const,
          );
        }),
      ]),
    });
    catalog.note(standing);
    const come = versions.filter(([first]) => !before.has(first)).map(([first]) => pathOf(first));
    const gone = [...before.keys()].filter((first) => !this.#versions.has(first)).map(pathOf);
    if (this.#watch !== undefined && (come.length > 0 || gone.length > 0))
      logger.info('models.changed', { come, gone });
  }

  async #serve(first: Model, variants: readonly Model[]): Promise<ServedVersion | null> {
    try {
      // Variants differ in the graph only.
      return { face: await createModelFace(first), variants };
    } catch (error) {
      this.#options.logger.warn('model.skipped', { folder: pathOf(first) }, error);
      return null;
    }
  }
}

/** Queue → why its model is not loaded, of those that a worker could not load. */
function failedOf(workers: readonly ProcessModels[]): Map<string, Failed> {
  const failures = workers.flatMap(({ failed = [] }) => failed);
  return new Map(
    failures.map(({ queue, reason }) => {
      const { name } = parseQueue(queue);
      const able = workers.filter(({ models }) => models === undefined || models.includes(name));
      const tries = able.map(({ failed }) => failed?.find((failure) => failure.queue === queue));
      return [
        queue,
        {
          reason,
          everywhere: tries.every((tried) => tried !== undefined),
          lasting: tries.every((tried) => tried?.lasting),
        },
      ];
    }),
  );
}

/** The variants of each version. */
function groups(models: readonly Model[]): (readonly Model[])[] {
  const byVersion = new Map<string, Model[]>();
  for (const model of models) byVersion.set(pathOf(model), [...(byVersion.get(pathOf(model)) ?? []), model]);
  return [...byVersion.values()];
}

function queuesOf(models: readonly Model[]): ReadonlyMap<string, readonly string[]> {
  const queues = new Map<string, string[]>();
  for (const { name, queue } of models) queues.set(name, [...(queues.get(name) ?? []), queue]);
  return queues;
}

function pathOf({ name, version }: Model): string {
  return `${name}/${version}`;
}
