/** Follows the repository: its models are in the catalog, and their queues are served, as soon as they are whole. */
import { createModelFace, type Model, type Repository, type RepositoryWatch, watchRepository } from '@shoal/models';
import type { OpenJobStore } from '@shoal/queue';
import { type Logger, logRarely } from '@shoal/telemetry';
import type { Catalog, ServedVersion } from './catalog.js';

/** What callers are told of a name that turns out not to be served, though there is a folder for it. */
const BROKEN = 'This model cannot be loaded; the log of the server says why.';

export interface LiveModelsOptions {
  readonly folder: string;
  readonly catalog: Catalog;
  readonly store: Pick<OpenJobStore, 'serve'>;
  readonly logger: Logger;
  readonly clock: () => number;
}

export class LiveModels {
  readonly #options: LiveModelsOptions;
  #watch: RepositoryWatch | undefined;
  /** By their first model, which is another object once the folder has changed; null where it cannot be served. */
  #versions = new Map<Model, ServedVersion | null>();
  #queues: ReadonlyMap<string, readonly string[]> = new Map();

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
      onProblem: (problem) => logger.warn('model.skipped', { folder: problem.folder, reason: problem.message }),
      onTrouble: logRarely(logger, 'models.unseen', clock),
    });
    await this.#apply(watch.current);
    this.#watch = watch;
    watch.start((repository) => this.#apply(repository));
  }

  async stop(): Promise<void> {
    await this.#watch?.stop();
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
    catalog.update({
      versions: versions.flatMap(([, version]) => version ?? []),
      aliases,
      unserved: new Map([
        ...models.map(({ name }) => [name, BROKEN] as const),
        ...problems.map(({ folder }) => [folder.split('/', 1)[0]!, BROKEN] as const),
      ]),
    });
    this.#versions = new Map(versions);
    this.#queues = queuesOf(models);
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
