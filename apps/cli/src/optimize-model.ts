/** `shoal optimize`: variants of a model that are faster and lose no more than is allowed. */
import { ShoalError } from '@shoal/contracts';
import { openRuntime } from '@shoal/onnxruntime';
import { durationOf, type OptimizeContext, optimize, type RunProgress, showPlan, TABLE } from '@shoal/optimizer';
import { UserError } from '@shoal/tools/user-error';
import { PatientApi } from './patient-api.js';
import type { OptimizeOptions } from './program.js';
import { barOf, ProgressDisplay, terminal } from './progress.js';
import { ServedTeacher } from './served-teacher.js';
import { Interrupted, untilSignal } from './signals.js';

export interface OptimizePlace {
  /** Folder of model folders. */
  readonly models: string;
  /** Where journals and reports are kept. */
  readonly to: string;
  /** For the API that serves the teacher; left out: it needs none. */
  readonly teacherKey?: string | undefined;
}

/** @throws UserError that says in a line what is wrong with model, data or time; what has been tried is kept */
export async function optimizeModel(
  options: OptimizeOptions,
  { teacherKey, ...place }: OptimizePlace,
  display = new ProgressDisplay(terminal()),
): Promise<void> {
  const { model, data, maxLoss, metric, time, methods, force, plan, teacher: url } = options;
  const request = {
    ...place,
    ...{ model, data, methods, force, seconds: time },
    allowed: { loss: maxLoss, ...(metric !== undefined && { metric }) },
  };
  try {
    await untilSignal(
      (signal) => new Interrupted(signal, 'stopped; the same command goes on where it was.'),
      async (signal) => {
        const { say } = display;
        const teacher =
          url === undefined ? {} : { teacher: new ServedTeacher(new PatientApi(url, teacherKey, { say })) };
        const context = { ...(await contextOf(display, signal)), ...teacher };
        if (plan) return await showPlan(request, context);
        const { lines, report } = await optimize(request, context);
        display.next();
        for (const line of ['', ...lines, '', `The report: ${report}`]) display.say(line);
      },
    );
  } catch (error) {
    throw error instanceof ShoalError ? new UserError(error.message) : error;
  }
}

async function contextOf(display: ProgressDisplay, signal: AbortSignal): Promise<OptimizeContext> {
  return {
    ...{ runtime: await openRuntime(), signal, table: TABLE, say: display.say },
    now: () => performance.now(),
    date: () => new Date(),
    onProgress: (progress) => display.showLine(lineOf(progress)),
  };
}

export function lineOf({ share, secondsLeft, doing, best }: RunProgress): string {
  const found = best === undefined ? '' : `; best so far: ${best}`;
  return `  ${barOf(share)} ${Math.floor(100 * share)} %, ${durationOf(secondsLeft)} left  ${doing}${found}`;
}
