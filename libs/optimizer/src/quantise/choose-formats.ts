/** Which format each unit of a model gets, for the least harm within a budget of bytes. */
import { ShoalError } from '@shoal/contracts';

/** What a unit may be stored as. */
export interface Option {
  readonly format: string;
  readonly bytes: number;
  /** Harm of this unit alone; harms of units are added up. */
  readonly harm: number;
}

export interface Unit {
  readonly name: string;
  /** One at least. */
  readonly options: readonly Option[];
}

export interface Chosen {
  /** Unit → format. */
  readonly formats: ReadonlyMap<string, string>;
  readonly bytes: number;
  /** As it is expected to be. */
  readonly harm: number;
}

/**
 * Begins with the smallest option of each unit, and spends the rest of the budget where a byte saves the most harm. Large units
 * would often find no room left by then, so each option is given once before all others are asked: the best of these stays.
 *
 * @throws ShoalError `invalid_request` where not even the smallest options fit
 */
export function chooseFormats(units: readonly Unit[], budget: number): Chosen {
  const least = new Map(units.map(({ name, options }) => [name, smallest(options)]));
  const bytes = [...least.values()].reduce((sum, option) => sum + option.bytes, 0);
  if (bytes > budget) {
    throw new ShoalError('invalid_request', `The smallest formats take ${bytes} bytes, and ${budget} are allowed`);
  }
  let best = spend(units, least, budget);
  for (const { name, options } of units) {
    for (const option of options) {
      if (bytes - least.get(name)!.bytes + option.bytes > budget) continue;
      const others = units.filter((unit) => unit.name !== name);
      const chosen = spend(others, new Map(least).set(name, option), budget);
      if (chosen.harm < best.harm) best = chosen;
    }
  }
  return best;
}

/** From what is chosen already to what fits, for those of `units`. */
function spend(units: readonly Unit[], start: ReadonlyMap<string, Option>, budget: number): Chosen {
  const chosen = new Map(start);
  const total = (of: (option: Option) => number) => [...chosen.values()].reduce((sum, option) => sum + of(option), 0);
  let bytes = total((option) => option.bytes);
  for (let step = bestStep(units, chosen, budget - bytes); step; step = bestStep(units, chosen, budget - bytes)) {
    bytes += step.option.bytes - chosen.get(step.name)!.bytes;
    chosen.set(step.name, step.option);
  }
  const formats = new Map([...chosen].map(([name, { format }]) => [name, format]));
  return { formats, bytes, harm: total(({ harm }) => harm) };
}

function smallest(options: readonly Option[]): Option {
  return options.reduce((best, option) => (option.bytes < best.bytes ? option : best));
}

interface Step {
  readonly name: string;
  readonly option: Option;
  /** Harm saved by a byte. */
  readonly gain: number;
}

/** Undefined where nothing that is left helps, or fits into `room`. */
function bestStep(units: readonly Unit[], chosen: ReadonlyMap<string, Option>, room: number): Step | undefined {
  let best: Step | undefined;
  for (const { name, options } of units) {
    const now = chosen.get(name)!;
    for (const option of options) {
      const more = option.bytes - now.bytes;
      if (more <= 0 || more > room || option.harm >= now.harm) continue;
      const gain = (now.harm - option.harm) / more;
      if (best === undefined || gain > best.gain) best = { name, option, gain };
    }
  }
  return best;
}
