/** Settings, and what there is to choose: all combinations of one option of each factor. */

/** A value for each thing that can be set; two are one setting where they are equal and in the same order. */
export type Setting = Readonly<Record<string, string | number | boolean>>;

export interface Factor<S extends Setting> {
  /** For people: `threads`. */
  readonly name: string;
  /** Values that are set together, that of the defaults among them. */
  readonly options: readonly Partial<S>[];
}

export interface Space<S extends Setting> {
  readonly defaults: S;
  readonly factors: readonly Factor<S>[];
}

export function keyOf(setting: Setting): string {
  return JSON.stringify(setting);
}

/** How many settings a space has. */
export function countSettings<S extends Setting>({ factors }: Space<S>): number {
  return factors.reduce((product, { options }) => product * options.length, 1);
}

/** Every setting of a space: options of the last factor change fastest. */
export function everySetting<S extends Setting>({ defaults, factors }: Space<S>): S[] {
  let settings = [defaults];
  for (const { options } of factors) {
    settings = settings.flatMap((setting) => options.map((option) => ({ ...setting, ...option })));
  }
  return settings;
}

/** For each of `everySetting`, in its order: which option of each factor it has. */
export function everyChoice<S extends Setting>({ factors }: Space<S>): (readonly number[])[] {
  let choices: number[][] = [[]];
  for (const { options } of factors) choices = choices.flatMap((choice) => options.map((_, n) => [...choice, n]));
  return choices;
}
