/** The models that this process serves, by name and version. */
import { ShoalError } from '@shoal/contracts';
import type { Encoder } from '@shoal/models';

export class Catalog {
  /** name → encoders of its versions, newest first. */
  readonly #byName = new Map<string, Encoder[]>();

  /** `encoders`: one per version of a model, a newer version before an older one, as the repository lists them. */
  constructor(encoders: readonly Encoder[]) {
    for (const encoder of encoders) {
      const { name } = encoder.model;
      this.#byName.set(name, [...(this.#byName.get(name) ?? []), encoder]);
    }
  }

  /** The newest version of every model, in the order of their names. */
  list(): Encoder[] {
    return [...this.#byName.keys()].sort().map((name) => this.get(name));
  }

  /** The newest version of a model: what new jobs run on. */
  get(name: string): Encoder {
    const encoder = this.#byName.get(name)?.[0];
    if (encoder !== undefined) return encoder;
    const message = 'no model of this name is served; GET /v1/models lists those that are';
    throw new ShoalError('model_not_found', message, { faults: [{ path: 'model', message }] });
  }

  /** The version that a job ran on, as long as it is served. */
  find(name: string, version: string): Encoder | undefined {
    return this.#byName.get(name)?.find((encoder) => encoder.model.version === version);
  }
}
