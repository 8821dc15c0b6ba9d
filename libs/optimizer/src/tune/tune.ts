/** Tunes a model for the machine that it runs on, and keeps what is better than the defaults where workers find it. */
import { ShoalError } from '@shoal/contracts';
import { keepTuning, type Model, machineOf, TunedSettings, wordsOf } from '@shoal/models';
import { decoderWork } from './decoder-work.js';
import { encoderWork } from './encoder-work.js';
import { type Found, type SearchOptions, type SearchProgress, searchSettings } from './search.js';
import type { Setting, Space } from './setting.js';
import type { Work, WorkOptions } from './work.js';

export interface TuneOptions
  extends WorkOptions,
    Pick<SearchOptions<Setting>, 'random' | 'rounds' | 'budgetMs' | 'signal'> {
  /** The time of day. */
  readonly date: () => Date;
  /** Told once, before the search begins. */
  readonly onStart: (space: Space<Setting>, what: string) => void;
  readonly onProgress: (progress: SearchProgress<Setting>) => void;
}

export interface Tuning {
  readonly space: Space<Setting>;
  readonly found: Found<Setting>;
  /** What workers take from now on; empty where the defaults, or what was kept before, stay. */
  readonly settings: TunedSettings;
  /** Where it is kept; null where the search told nothing: what was kept before stays. */
  readonly file: string | null;
}

/**
 * Measures, chooses and keeps. What was kept before stays where it ends otherwise.
 *
 * @throws ShoalError where the model cannot be tuned, loaded or run; the signal's reason; what the file system refuses
 */
export async function tuneModel(model: Model, options: TuneOptions): Promise<Tuning> {
  const { runtime, cacheDir, budgetMs, now, signal, onStart, date } = options;
  const started = now();
  const machine = await machineOf(runtime);
  const work = await workOf(model, options);
  try {
    signal.throwIfAborted();
    onStart(work.space, work.what);
    const left = Math.max(0, budgetMs - (now() - started));
    const found = await searchSettings(work.space, {
      ...options,
      ...{ measure: work.measure, renew: work.renew, budgetMs: left },
    });
    const better = found.end === 'better';
    const settings = better ? settingsOf(work.space, found.chosen) : {};
    const kept = {
      settings,
      ratio: better ? found.ratio : null,
      machine: wordsOf(machine),
      measured: date().toISOString(),
    };
    const file = found.end === 'undecided' ? null : await keepTuning(model, kept, { cacheDir, machine });
    return { space: work.space, found, settings, file };
  } finally {
    await work.close();
  }
}

/** The work of its kind of model, with settings of any kind. @throws ShoalError where there is none */
export async function workOf(model: Model, options: WorkOptions): Promise<Work<Setting>> {
  if (model.task === 'tensors') {
    throw new ShoalError(
      'invalid_request',
      `${model.name} takes tensors: what is in them nobody here knows, so there is nothing to measure with`,
    );
  }
  // Each is given none but settings of its own space.
  return (await (model.generator === null ? encoderWork : decoderWork)(model, options)) as unknown as Work<Setting>;
}

/** Of what there was to choose, and nothing else. */
function settingsOf({ factors }: Space<Setting>, chosen: Setting): TunedSettings {
  const names = new Set(factors.flatMap(({ options }) => options.flatMap((option) => Object.keys(option))));
  return TunedSettings.parse(Object.fromEntries(Object.entries(chosen).filter(([name]) => names.has(name))));
}
