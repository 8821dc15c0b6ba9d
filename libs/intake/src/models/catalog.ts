/** The models that this process serves: what each name that callers use stands for, now. */
import { formatSelector, nearestNames, parseSelector, type ServedModel, ShoalError, type Task } from '@shoal/contracts';
import {
  type Aliases,
  isUnloaded,
  type Model,
  type ModelFace,
  type ModelWishes,
  NO_ALIASES,
  type Presenter,
  type Share,
  selects,
} from '@shoal/models';
import { type Allowed, boundOf, closestOf, fastestOf, lossOf } from './within-loss.js';

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

/** How the offered models stand in all workers. */
export interface Standing {
  readonly wishes: ModelWishes;
  /** Queue → workers that have its model loaded. */
  readonly workers: ReadonlyMap<string, number>;
  /**
   * Queues that no worker has ever loaded: as long as one was of another version, a name stands for that, and a request that allows
   * a loss gets none of them that is not the original.
   */
  readonly awaited: ReadonlySet<string>;
  /** Queue → of a model that a worker could not load, and none has. */
  readonly failed: ReadonlyMap<string, Failed>;
}

/** Why a model is not loaded. */
export interface Failed {
  readonly reason: string;
  /** No worker is left that may load it: all have tried. */
  readonly everywhere: boolean;
  /** Another try ends the same way. */
  readonly lasting: boolean;
}

const UNKNOWN: Standing = { wishes: new Map(), workers: new Map(), awaited: new Set(), failed: new Map() };

/** What is shown of a version that is served no more: it needs no tokenizer, which is most of a face's memory. */
type Shown = Presenter & Pick<ModelFace, 'tokens'>;

/** What one job runs on. */
export interface Choice {
  readonly face: ModelFace;
  /** Of the variant. */
  readonly model: Model;
  /** Of its version, all of them. */
  readonly variants: readonly Model[];
  /** The name that asks for exactly this; undefined where the job asked for a model and got what its name stands for. */
  readonly selector: string | undefined;
}

/** Where a job runs, as far as names say. */
type Found = Omit<Choice, 'selector'>;

export class Catalog {
  readonly #isBehind: ((queue: string) => boolean) | undefined;
  /** name → its versions, newest first. */
  #byName: ReadonlyMap<string, readonly ServedVersion[]> = new Map();
  #aliases: Aliases = NO_ALIASES;
  #unserved: ReadonlyMap<string, string> = new Map();
  /** `<name>/<version>` → how its jobs are shown. */
  #shown: ReadonlyMap<string, ModelFace> = new Map();
  /** The same of versions that are served no more, the last one to go last. */
  readonly #gone = new Map<string, Shown>();
  #standing = UNKNOWN;
  /** Queues of variants that requests would have got, had a worker ever loaded them. */
  readonly #wanted = new Set<string>();

  /**
   * `isBehind`: whether jobs of a queue wait longer than they should. Given, those that allow a loss get a variant that has one only
   * where the original's queue is behind; left out, they always get the fastest.
   */
  constructor(offer: Offer = { versions: [] }, isBehind?: (queue: string) => boolean) {
    this.#isBehind = isBehind;
    this.update(offer);
  }

  update({ versions, aliases = NO_ALIASES, unserved = new Map() }: Offer): void {
    const byName = new Map<string, ServedVersion[]>();
    for (const version of versions) {
      const { name } = version.face.model;
      byName.set(name, [...(byName.get(name) ?? []), version]);
    }
    const shown = new Map(versions.map(({ face }) => [keyOf(face.model), face]));
    for (const key of shown.keys()) this.#gone.delete(key);
    for (const [key, { present, tokens }] of this.#shown) {
      if (!shown.has(key)) this.#gone.set(key, { present, ...(tokens && { tokens }) });
    }
    for (const key of [...this.#gone.keys()].slice(0, -MAX_GONE)) this.#gone.delete(key);
    this.#byName = byName;
    this.#aliases = aliases;
    this.#unserved = unserved;
    this.#shown = shown;
  }

  note(standing: Standing): void {
    this.#standing = standing;
    for (const queue of this.#wanted) if (!standing.awaited.has(queue)) this.#wanted.delete(queue);
  }

  /** Queues of variants that requests would have got by what they allow, and that no worker has loaded yet. */
  get wanted(): readonly string[] {
    return [...this.#wanted];
  }

  /** Every version and variant of a model. */
  served(name: string): ServedModel[] {
    const { wishes, workers, failed } = this.#standing;
    const versions = this.#byName.get(name) ?? [];
    const models = versions.flatMap(({ variants }) => variants.map((model) => ({ model, variants })));
    return models.map(({ model, variants }) => {
      const loaded = workers.get(model.queue) ?? 0;
      const failure = failed.get(model.queue);
      const missing = failure === undefined ? 'on_demand' : 'failed';
      const state = isUnloaded(model, wishes) ? 'unloaded' : loaded > 0 ? 'loaded' : missing;
      const reason = state === 'failed' && failure !== undefined ? { reason: failure.reason } : {};
      return { id: formatSelector(model), state, workers: loaded, ...reason, ...measuredOf(model, variants) };
    });
  }

  /** The version of every model that its name stands for, in the order of their names. */
  list(): ModelFace[] {
    return [...this.#byName.keys()].sort().map((name) => (this.#resolve(name) ?? this.#fitting(name)[0])!.face);
  }

  /** What a name that models.json gives stands for; undefined: it is none of these. */
  sharesOf(name: string): readonly Share[] | undefined {
    return this.#aliases.get(name);
  }

  /** The names of the models of a task. */
  namesOf(task: Task): string[] {
    return this.list().flatMap(({ model }) => (model.task === task ? [model.name] : []));
  }

  /** Further names, and the model that each stands for; of several the one with the largest share. */
  aliases(): { readonly alias: string; readonly face: ModelFace }[] {
    return [...this.#aliases].flatMap(([alias, shares]) => {
      const largest = shares.map((share) => ({ ...share, choice: this.#resolve(share.target) }));
      const face = largest.sort((a, b) => b.weight - a.weight).find(({ choice }) => choice)?.choice?.face;
      return face === undefined || this.#byName.has(alias) ? [] : [{ alias, face }];
    });
  }

  /**
   * What a job that asks for `asked` runs on: an alias, or as ModelSelector. `draw`, from 0 to 1, decides where an alias stands
   * for several by shares; shares of what is not served, or not loaded yet, fall to the others. Throws `model_not_found`, `model_unloaded`, `model_failed`.
   *
   * `loss`: what the job allows. Above 0 only the version is chosen yet: `within` chooses the variant, when it is known what the
   * job looks like. Throws `invalid_request` where the name leaves no choice.
   */
  choose(asked: string, draw: number, loss = 0): Choice {
    const shares = this.#aliases.get(asked);
    const choice = shares === undefined ? this.#resolve(asked) : this.#draw(shares, draw);
    if (choice === undefined) throw this.#notFound(asked);
    if (loss > 0 && parseSelector(asked).variant !== undefined) throw noChoiceError(asked);
    const failure = this.#standing.failed.get(choice.model.queue);
    if (loss === 0 && failure?.everywhere) throw failedError(choice.model, failure);
    const plain = shares === undefined && asked === choice.face.model.name;
    return { ...choice, selector: plain ? undefined : selectorOf(choice) };
  }

  /**
   * What a job runs on that allows a loss: of the variants of its version the fastest whose bound fits; where the original is for
   * all as long as its queue is not behind, that. What is unloaded or does not load is passed over, and what no worker has loaded
   * yet as long as there is something else: `wanted` tells it. `before`: the queue that an earlier call for the same job has gone
   * to, which the job stays with if it can. Throws `model_unloaded`, `model_failed` where nothing that fits takes jobs.
   */
  within(choice: Choice, allowed: Allowed, before: string | null = null): Choice {
    if (allowed.loss === 0) return choice;
    const model = this.#variantOf(choice, allowed, before);
    const plain = choice.selector === undefined && model.variant === choice.face.model.variant;
    return { ...choice, model, selector: plain ? undefined : selectorOf({ ...choice, model }) };
  }

  #variantOf({ variants }: Choice, allowed: Allowed, before: string | null): Model {
    const { wishes, failed, awaited } = this.#standing;
    const fitting = variants.filter((model) => boundOf(model) <= allowed.loss);
    const offered = fitting.filter((model) => !isUnloaded(model, wishes));
    const closest = closestOf(offered);
    if (closest === undefined) throw unloadedError(formatSelector(closestOf(fitting)!));
    const tried = offered.filter(({ queue }) => !failed.get(queue)?.everywhere);
    const able = tried.filter(({ queue }) => !failed.has(queue));
    const open = able.length > 0 ? able : tried;
    const fastest = fastestOf(open, allowed);
    if (fastest === undefined) throw failedError(closest, failed.get(closest.queue)!);
    const known = open.find(({ queue }) => queue === before);
    if (known !== undefined) return known;
    const isReady = ({ variant, original, queue }: Model) => variant === original || !awaited.has(queue);
    if (!isReady(fastest)) this.#wanted.add(fastest.queue);
    const ready = open.filter(isReady);
    // Where nothing else is left, a worker loads it for this job.
    const from = ready.length > 0 ? ready : open;
    const original = closestOf(from)!;
    const mayLose = this.#isBehind === undefined || this.#isBehind(original.queue);
    return mayLose ? fastestOf(from, allowed)! : original;
  }

  /** The same for a model that need not take jobs. Throws `model_not_found`. */
  find(asked: string): Found {
    const shares = this.#aliases.get(asked);
    const targets = shares === undefined ? [asked] : shares.map(({ target }) => target);
    const found = targets.flatMap((target) => this.#resolve(target) ?? this.#fitting(target).slice(0, 1))[0];
    if (found === undefined) throw this.#notFound(asked);
    return found;
  }

  /** How jobs of a version are shown, as long as it is served and for a while after. */
  presenter(name: string, version: string): Shown | undefined {
    const key = `${name}/${version}`;
    return this.#shown.get(key) ?? this.#gone.get(key);
  }

  /** Of each version the first variant that fits, and is one of those that count; newest version first. */
  #fitting(selector: string, counts = (_: Model) => true): Found[] {
    const versions = this.#byName.get(parseSelector(selector).name) ?? [];
    return versions.flatMap(({ face, variants }) => {
      const model = variants.find((own) => selects(selector, own) && counts(own));
      return model === undefined ? [] : [{ face, model, variants }];
    });
  }

  #resolve(selector: string): Found | undefined {
    const { wishes } = this.#standing;
    const fitting = this.#fitting(selector, (model) => !isUnloaded(model, wishes));
    // A variant that is named is loaded when it is asked for; nobody waits for it to be.
    if (parseSelector(selector).variant !== undefined) return fitting[0];
    return this.#soonest(fitting, ({ model }) => model)[0];
  }

  /** Of these, those whose jobs wait least: for none to be loaded, else for one that did not fail to load, else for any. */
  #soonest<T>(all: readonly T[], modelOf: (one: T) => Model): readonly T[] {
    const { awaited, failed } = this.#standing;
    const able = all.filter((one) => !failed.has(modelOf(one).queue));
    const ready = able.filter((one) => !awaited.has(modelOf(one).queue));
    return [ready, able].find(({ length }) => length > 0) ?? all;
  }

  #draw(shares: NonNullable<ReturnType<Aliases['get']>>, draw: number): Found | undefined {
    const all = shares.flatMap(({ target, weight }) => {
      const choice = this.#resolve(target);
      return choice === undefined ? [] : [{ choice, weight }];
    });
    const served = this.#soonest(all, ({ choice }) => choice.model);
    let left = draw * served.reduce((sum, { weight }) => sum + weight, 0);
    for (const { choice, weight } of served) {
      left -= weight;
      if (left < 0) return choice;
    }
    return served.at(-1)?.choice;
  }

  #notFound(asked: string): ShoalError {
    const targets = this.#aliases.get(asked)?.map(({ target }) => target) ?? [asked];
    if (targets.some((target) => this.#fitting(target).length > 0)) return unloadedError(targets[0]!);
    const unserved = this.#aliases.has(asked) ? undefined : this.#unserved.get(asked);
    const message = unserved ?? this.#advise(asked);
    return new ShoalError('model_not_found', message, { faults: [{ path: 'model', message }] });
  }

  #advise(asked: string): string {
    const { name } = parseSelector(asked);
    const versions = this.#byName.get(name);
    const shares = this.#aliases.get(name);
    // An alias may have the name of a model.
    if (versions !== undefined && (asked !== name || shares === undefined)) {
      const all = versions.flatMap(({ variants }) => variants.map((model) => formatSelector(model)));
      return `Of this model there are ${all.join(', ')}.`;
    }
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

function unloadedError(name: string): ShoalError {
  const message = `This model is unloaded and takes no jobs; POST /v1/models/${name}/load makes it take them again.`;
  return new ShoalError('model_unloaded', message, { faults: [{ path: 'model', message }] });
}

function noChoiceError(asked: string): ShoalError {
  const path = 'max_accuracy_loss';
  const free = formatSelector({ ...parseSelector(asked), variant: undefined });
  const message = `${asked} names the variant: leave this out, or ask for ${free}`;
  return new ShoalError('invalid_request', `${path}: ${message}`, { faults: [{ path, message }] });
}

/** For new jobs of a model that no worker can load, and for those that wait. */
export function failedError(
  model: Pick<Model, 'name' | 'version' | 'variant'>,
  { reason, lasting }: Failed,
): ShoalError {
  const name = formatSelector(model);
  const next = lasting
    ? 'It is served when that is mended'
    : `It is tried again; POST /v1/models/${name}/load does so at once`;
  const message = `No worker can load ${name}: ${reason.replace(/\.$/, '')}. ${next}.`;
  return new ShoalError('model_failed', message, { faults: [{ path: 'model', message }] });
}

function keyOf({ name, version }: Model): string {
  return `${name}/${version}`;
}

/** What a card tells of a variant's measurements, or that others of its version have been measured against it. */
function measuredOf(model: Model, variants: readonly Model[]): Pick<ServedModel, 'original' | 'quality'> {
  const { variant, original, quality } = model;
  const loss = lossOf(model);
  if (quality !== null && loss !== undefined) {
    const { verdict, method, speeds, escalated } = quality;
    const told = { verdict, method, accuracy_loss: loss, speeds, ...(escalated !== undefined && { escalated }) };
    return { quality: told };
  }
  return variant === original && variants.some((other) => other.quality !== null) ? { original: true } : {};
}

function selectorOf({ face, model }: Pick<Choice, 'face' | 'model'>): string {
  const { name, version, variant } = model;
  return formatSelector({ name, version, variant: variant === face.model.variant ? undefined : variant });
}
