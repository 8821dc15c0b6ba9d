/** The models that this process serves, by name and version. */
import { nearestNames, ShoalError, type Task } from '@shoal/contracts';
import type { ModelFace } from '@shoal/models';

export class Catalog {
  /** name → faces of its versions, newest first. */
  readonly #byName = new Map<string, ModelFace[]>();
  readonly #unserved: ReadonlyMap<string, string>;

  /**
   * `faces`: one per version of a model, a newer version before an older one, as the repository lists them.
   * `unserved`: names of folders that jobs cannot ask for, and why.
   */
  constructor(faces: readonly ModelFace[], unserved: ReadonlyMap<string, string> = new Map()) {
    for (const face of faces) {
      const { name } = face.model;
      this.#byName.set(name, [...(this.#byName.get(name) ?? []), face]);
    }
    this.#unserved = unserved;
  }

  /** The newest version of every model, in the order of their names. */
  list(): ModelFace[] {
    return [...this.#byName.keys()].sort().map((name) => this.get(name));
  }

  /** The names of the models of a task. */
  namesOf(task: Task): string[] {
    return this.list().flatMap(({ model }) => (model.task === task ? [model.name] : []));
  }

  /** The newest version of a model: what new jobs run on. */
  get(name: string): ModelFace {
    const face = this.#byName.get(name)?.[0];
    if (face !== undefined) return face;
    const message = this.#unserved.get(name) ?? this.#advise(name);
    throw new ShoalError('model_not_found', message, { faults: [{ path: 'model', message }] });
  }

  /** The version that a job ran on, as long as it is served. */
  find(name: string, version: string): ModelFace | undefined {
    return this.#byName.get(name)?.find((face) => face.model.version === version);
  }

  #advise(name: string): string {
    const near = nearestNames(name, [...this.#byName.keys()].sort());
    const guess = near.length > 0 ? ` Did you mean ${near.join(' or ')}?` : '';
    return `No model of this name is served.${guess} GET /v1/models lists those that are.`;
  }
}
