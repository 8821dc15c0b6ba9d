/** `shoal tune`: finds the settings that a model is fastest with on this machine, and keeps them for workers. */
import { availableParallelism } from 'node:os';
import { ModelSelector, ShoalError } from '@shoal/contracts';
import { type Model, openRepository, selectModel } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import {
  countSettings,
  cpuTime,
  reportTuning,
  type SearchProgress,
  type Setting,
  tuneModel as tune,
  wordsOfSetting,
} from '@shoal/optimizer';
import { UserError } from '@shoal/tools/user-error';
import { barOf, ProgressDisplay, terminal, timeOf } from './progress.js';
import { Interrupted, untilSignal } from './signals.js';

export interface TuneRequest {
  /** As jobs name it. */
  readonly model: string;
  readonly budgetMs: number;
  readonly rounds: number;
}

export interface TunePlace {
  readonly modelsDir: string;
  /** The workers'. */
  readonly cacheDir: string;
  /** Forward passes that this process can run at once. */
  readonly passes: number;
}

/** @throws UserError saying what is wrong with the name, or why the model cannot be tuned; nothing is kept then */
export async function tuneModel({ model: asked, budgetMs, rounds }: TuneRequest, place: TunePlace): Promise<void> {
  const display = new ProgressDisplay(terminal());
  try {
    await untilSignal(
      (signal) => new Interrupted(signal, 'stopped; what was kept before stays as it is.'),
      async (signal) => {
        const model = await findTuned(asked, place.modelsDir);
        const { name, version, variant } = model;
        const runtime = await openRuntime();
        const cores = availableParallelism();
        display.say(
          `${name}@${version}:${variant} on ${cores} ${cores === 1 ? 'core' : 'cores'}, ${timeOf(budgetMs / 1000)} at most`,
        );
        let defaults: Setting = {};
        const tuning = await tune(model, {
          ...{ runtime, cacheDir: place.cacheDir, cores, passes: place.passes, rounds, budgetMs, signal },
          ...{ now: () => performance.now(), date: () => new Date(), random: Math.random },
          // Windows tells it in steps of 16 ms.
          cpu: process.platform === 'win32' ? undefined : cpuTime,
          onStart(space, what) {
            defaults = space.defaults;
            display.say(`${countSettings(space)} settings, measured by ${what}`);
          },
          onProgress: (progress) => display.showLine(lineOf(progress, defaults)),
        });
        display.next();
        for (const line of reportTuning(tuning)) display.say(line);
      },
    );
  } catch (error) {
    display.next();
    throw error instanceof ShoalError ? new UserError(error.message) : error;
  }
}

function lineOf({ stage, measured, done, leftMs, best }: SearchProgress<Setting>, defaults: Setting): string {
  const found = best && wordsOfSetting(best.setting, defaults);
  const words =
    best === undefined
      ? ''
      : `; best so far ${found}${found === 'defaults' ? '' : ` at ${best.ratio.toFixed(2)} of their time`}`;
  return `  ${barOf(done)} ${measured} measurements, ${timeOf(leftMs / 1000)} left at most, ${stage}${words}`;
}

async function findTuned(asked: string, folder: string): Promise<Model> {
  const { models, aliases, problems } = await openRepository(folder);
  // Of several models that share a name, the one with the largest share.
  const share = [...(aliases.get(asked) ?? [])].sort((a, b) => b.weight - a.weight)[0];
  const selector = share?.target ?? asked;
  const model = ModelSelector.safeParse(selector).success ? selectModel(models, selector) : undefined;
  if (model !== undefined) return model;
  const [name = ''] = asked.split(/[@:]/, 1);
  const own = models
    .filter((other) => other.name === name)
    .map(({ version, variant }) => `${name}@${version}:${variant}`);
  if (own.length > 0)
    throw new UserError(`there is no ${JSON.stringify(asked)}; of this name there are ${own.join(', ')}.`);
  const problem = problems.find((other) => other.folder.split('/', 1)[0] === name);
  const why =
    problem === undefined ? '"npx shoal models ls" lists those that are' : `${problem.folder}: ${problem.message}`;
  throw new UserError(`there is no model ${JSON.stringify(asked)} in ${folder}; ${why}.`);
}
