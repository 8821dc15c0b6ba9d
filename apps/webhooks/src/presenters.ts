/** How outputs of jobs are shown, as the API shows them: of the versions in the repository, and of those that went last. */
import type { JobRecord } from '@shoal/contracts';
import { createPresenter, type Model, type Presenter, type Repository, watchRepository } from '@shoal/models';
import { type Logger, logRarely } from '@shoal/telemetry';

/** Versions that are served no more and whose jobs are still shown. */
const MAX_GONE = 32;

export class Presenters {
  readonly #logger: Logger;
  /** `<name>/<version>` → the first of its models, and how its jobs are shown; versions that have gone come first. */
  readonly #versions = new Map<string, { readonly model: Model; readonly presenter: Presenter }>();
  #stop: () => Promise<void> = async () => {};

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Follows the repository in `folder`. @throws ShoalError `model_invalid` where it cannot be read */
  async start(folder: string, clock: () => number): Promise<void> {
    const logger = this.#logger;
    const watch = await watchRepository(folder, {
      // The API and workers tell the same to whoever can mend it.
      onProblem: (problem) => logger.debug('model.skipped', { folder: problem.folder, reason: problem.message }),
      onTrouble: logRarely(logger, 'models.unseen', clock),
    });
    this.#stop = () => watch.stop();
    await this.#apply(watch.current);
    watch.start((repository) => this.#apply(repository));
  }

  stop(): Promise<void> {
    return this.#stop();
  }

  of({ meta }: JobRecord): Presenter | undefined {
    return this.#versions.get(`${meta.model}/${meta.version}`)?.presenter;
  }

  async #apply({ models }: Repository): Promise<void> {
    const there = new Set<string>();
    for (const model of models) {
      const folder = `${model.name}/${model.version}`;
      if (there.has(folder)) continue;
      there.add(folder);
      try {
        const known = this.#versions.get(folder);
        // Tokenizers are needed only for texts that are generated.
        const version = known?.model === model ? known : { model, presenter: await createPresenter(model) };
        this.#versions.delete(folder);
        this.#versions.set(folder, version);
      } catch (error) {
        this.#logger.warn('model.skipped', { folder }, error);
      }
    }
    const gone = [...this.#versions.keys()].filter((folder) => !there.has(folder));
    for (const folder of gone.slice(0, -MAX_GONE)) this.#versions.delete(folder);
  }
}
