/** What `shoal tune` found for a model on a machine of this kind, as far as the environment leaves it to that. */
import { type Machine, type Model, machineOf, readTuning, type TunedSettings } from '@shoal/models';
import type { Runtime } from '@shoal/onnxruntime';
import type { Logger } from '@shoal/telemetry';

export interface TunedOptions {
  readonly cacheDir: string;
  readonly runtime: Pick<Runtime, 'kind' | 'version'>;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Of one forward pass, where the environment says it. */
  readonly givenThreads: number | undefined;
  /** Of this process; what it is where left out. */
  readonly machine?: Machine;
}

/** Empty where nothing was found. Told in one line of the log. @throws ShoalError where the model cannot be read */
export async function tunedFor(model: Model, options: TunedOptions): Promise<TunedSettings> {
  const { cacheDir, runtime, logger, givenThreads } = options;
  const { tuning, note } = await readTuning(model, {
    cacheDir,
    machine: options.machine ?? (await machineOf(runtime)),
  });
  const name = `${model.name}/${model.version}/${model.variant}`;
  if (note !== null) logger.warn('model.tuning_ignored', { model: name, reason: note });
  const settings = withThreads(tuning?.settings ?? {}, givenThreads);
  if (tuning !== null) {
    const { ratio, measured } = tuning;
    // Of the time that a pass took without them.
    logger.info('model.tuned', {
      model: name,
      ...settings,
      time: Math.round(1000 * (ratio?.median ?? 1)) / 1000,
      measured,
    });
  }
  return settings;
}

/** Limits of micro-batches are those of the passes that they were measured with. */
function withThreads(settings: TunedSettings, threads: number | undefined): TunedSettings {
  if (threads === undefined || threads === settings.threads) return settings;
  const { maxBatchTokens: _tokens, passTokens: _padding, ...rest } = settings;
  return { ...rest, threads };
}
