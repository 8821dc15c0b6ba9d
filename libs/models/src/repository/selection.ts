/** Which models of a repository are asked for by a name, by aliases, and by what was wished of them. */
import { parseSelector } from '@shoal/contracts';
import type { Model } from '../types.js';
import type { Aliases } from './aliases.js';

/** By ModelSelector: what is wished of the models that it asks for. */
export type ModelWishes = ReadonlyMap<string, 'load' | 'unload'>;

/** Whether `selector` leaves room for this model: each part of it that is given is the model's. */
export function selects(selector: string, model: Pick<Model, 'name' | 'version' | 'variant'>): boolean {
  const { name, version, variant } = parseSelector(selector);
  return name === model.name && isOf(version, model.version) && isOf(variant, model.variant);
}

function isOf(asked: string | undefined, own: string): boolean {
  return asked === undefined || asked === own;
}

/**
 * Whether two models of one queue are of one reading of their folder: its files are the same, but for what was measured of the
 * variants, which may have been read again.
 */
export function isSameReading(a: Model, b: Model): boolean {
  return a.queue === b.queue && a.variants === b.variants;
}

/** What a name stands for: the first that fits, of `models` in the repository's order. */
export function selectModel<M extends Pick<Model, 'name' | 'version' | 'variant'>>(
  models: readonly M[],
  selector: string,
): M | undefined {
  return models.find((model) => selects(selector, model));
}

/** Whether the last word on the model is that it be unloaded: the wish that says most exactly which model is meant. */
export function isUnloaded(model: Model, wishes: ModelWishes): boolean {
  let exactness = -1;
  let unloaded = false;
  for (const [selector, wish] of wishes) {
    const { version, variant } = parseSelector(selector);
    const exact = Number(version !== undefined) * 2 + Number(variant !== undefined);
    if (exact <= exactness || !selects(selector, model)) continue;
    exactness = exact;
    unloaded = wish === 'unload';
  }
  return unloaded;
}

/**
 * Those that jobs are likely to run on: what each model's name alone stands for, what aliases stand for, and what was wished
 * to be loaded. All others are loaded when a job asks for them.
 */
export function expectedModels(models: readonly Model[], aliases: Aliases, wishes: ModelWishes): ReadonlySet<Model> {
  const offered = models.filter((model) => !isUnloaded(model, wishes));
  const names = new Set(offered.map(({ name }) => name));
  const plain = [...names].filter((name) => !aliases.has(name));
  const targets = [...aliases.values()].flatMap((shares) => shares.map(({ target }) => target));
  const loaded = [...wishes].flatMap(([selector, wish]) => (wish === 'load' ? [selector] : []));
  return new Set([...plain, ...targets, ...loaded].flatMap((selector) => selectModel(offered, selector) ?? []));
}
