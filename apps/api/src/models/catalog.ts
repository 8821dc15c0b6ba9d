/** The models that this process serves: what each name that callers use stands for, now. */
import { formatSelector, nearestNames, parseSelector, ShoalError, type Task } from '@shoal/contracts';
import { type Aliases, type Model, type ModelFace, NO_ALIASES, type Presenter } from '@shoal/models';

/** Versions that are served no more and whose jobs are still shown: those that went last. */
const MAX_GONE = 32;

/** One version of a model: how its jobs are read, and the variants that they can run on, the default one first. */
export interface ServedVersion {
  readonly face: ModelFace;
  readonly variants: readonly Model[];
}

export interface Offer {
  /** By name, newer versions first, as the repository lists them. */
  readonly versions: readonly ServedVersion[];
  readonly aliases?: Aliases;
  /** Names of folders that jobs cannot ask for, and why. */
  readonly unserved?: ReadonlyMap<string, string>;
}

/** What one job runs on. */
export interface Choice {
  readonly face: ModelFace;
  /** Of the variant. */
  readonly model: Model;
  /** The name that asks for exactly this; undefined where the job asked for a model and got what its name stands for. */
  readonly selector: string | undefined;
}

export class Catalog {
  /** name → its versions, newest first. */
  #byName: ReadonlyMap<string, readonly ServedVersion[]> = new Map();
  #aliases: Aliases = NO_ALIASES;
  #unserved: ReadonlyMap<string, string> = new Map();
  /** `<name>/<version>` → how its jobs are shown. */
  #shown: ReadonlyMap<string, ModelFace> = new Map();
  readonly #gone = new Map<string, ModelFace>();

  constructor(offer: Offer = { versions: [] }) {
    this.update(offer);
  }

  update({ versions, aliases = NO_ALIASES, unserved = new Map() }: Offer): void {
    const byName = new Map<string, ServedVersion[]>();
    for (const version of versions) {
      const { name } = version.face.model;
      byName.set(name, [...(byName.get(name) ?? []), version]);
    }
    const shown = new Map(versions.map(({ face }) => [keyOf(face.model), face]));
    for (const [key, face] of this.#shown) if (!shown.has(key)) this.#gone.set(key, face);
    for (const key of [...this.#gone.keys()].slice(0, -MAX_GONE)) this.#gone.delete(key);
    this.#byName = byName;
    this.#aliases = aliases;
    this.#unserved = unserved;
    this.#shown = shown;
  }

  /** The version of every model that its name stands for, in the order of their names. */
  list(): ModelFace[] {
    return [...this.#byName.keys()].sort().map((name) => this.#resolve(name)!.face);
  }

  /** The names of the models of a task. */
  namesOf(task: Task): string[] {
    return this.list().flatMap(({ model }) => (model.task === task ? [model.name] : []));
  }

  /** Further names, and the model that each stands for; of several the one with the largest share. */
  aliases(): { readonly alias: string; readonly face: ModelFace }[] {
    return [...this.#aliases].flatMap(([alias, shares]) => {
      const largest = shares.flatMap((share) => ({ ...share, choice: this.#resolve(share.target) }));
      const face = largest.sort((a, b) => b.weight - a.weight).find(({ choice }) => choice)?.choice?.face;
      return face === undefined || this.#byName.has(alias) ? [] : [{ alias, face }];
    });
  }

  /**
   * What a job that asks for `asked` runs on: an alias, or as ModelSelector. `draw`, from 0 to 1, decides where an alias stands
   * for several by shares; shares of what is not served fall to the others. Throws `model_not_found`.
   */
  choose(asked: string, draw: number): Choice {
    const shares = this.#aliases.get(asked);
    const choice = shares === undefined ? this.#resolve(asked) : this.#draw(shares, draw);
    if (choice === undefined) throw this.#notFound(asked);
    const plain = shares === undefined && asked === choice.face.model.name;
    return { ...choice, selector: plain ? undefined : selectorOf(choice) };
  }

  /** How jobs of a version are shown, as long as it is served and for a while after. */
  find(name: string, version: string): (Presenter & Pick<ModelFace, 'tokens'>) | undefined {
    const key = `${name}/${version}`;
    return this.#shown.get(key) ?? this.#gone.get(key);
  }

  #resolve(selector: string): Omit<Choice, 'selector'> | undefined {
    const { name, version, variant } = parseSelector(selector);
    const versions = this.#byName.get(name) ?? [];
    const chosen = version === undefined ? versions[0] : versions.find(({ face }) => face.model.version === version);
    const model = variant === undefined ? chosen?.variants[0] : chosen?.variants.find((own) => own.variant === variant);
    return chosen && model && { face: chosen.face, model };
  }

  #draw(shares: NonNullable<ReturnType<Aliases['get']>>, draw: number): Omit<Choice, 'selector'> | undefined {
    const served = shares.flatMap(({ target, weight }) => {
      const choice = this.#resolve(target);
      return choice === undefined ? [] : [{ choice, weight }];
    });
    let left = draw * served.reduce((sum, { weight }) => sum + weight, 0);
    for (const { choice, weight } of served) {
      left -= weight;
      if (left < 0) return choice;
    }
    return served.at(-1)?.choice;
  }

  #notFound(asked: string): ShoalError {
    const message = this.#unserved.get(asked) ?? this.#advise(asked);
    return new ShoalError('model_not_found', message, { faults: [{ path: 'model', message }] });
  }

  #advise(asked: string): string {
    const { name } = parseSelector(asked);
    const versions = this.#byName.get(name);
    if (versions !== undefined) {
      const all = versions.flatMap(({ variants }) => variants.map((model) => formatSelector(model)));
      return `Of this model there are ${all.join(', ')}.`;
    }
    const shares = this.#aliases.get(name);
    if (shares !== undefined) {
      const targets = shares.map(({ target }) => target).join(', ');
      return asked === name
        ? `This name stands for ${targets}, which is not served.`
        : `${name} is another name for ${targets}: ask for it alone, or for a version or variant of these.`;
    }
    const near = nearestNames(name, [...this.#byName.keys(), ...this.#aliases.keys()].sort());
    const guess = near.length > 0 ? ` Did you mean ${near.join(' or ')}?` : '';
    return `No model of this name is served.${guess} GET /v1/models lists those that are.`;
  }
}

function keyOf({ name, version }: Model): string {
  return `${name}/${version}`;
}

function selectorOf({ face, model }: Omit<Choice, 'selector'>): string {
  const { name, version, variant } = model;
  return formatSelector({ name, version, variant: variant === face.model.variant ? undefined : variant });
}
