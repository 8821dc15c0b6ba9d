/** One pass over the calibration texts: what the matrices of a model multiply. */
import type { Context, Subject } from '../types.js';
import { type Observed, observed } from './observed.js';
import { openTexts, servedFrom } from './open-texts.js';
import { type InputStatistics, statisticsOf } from './statistics.js';
import type { Workshop } from './workshop.js';

export interface Calibrated extends Omit<Observed, 'precision'> {
  readonly statistics: ReadonlyMap<string, InputStatistics>;
  /** For people: on what. */
  readonly note: string;
}

export interface CalibrationOptions {
  readonly tokens: number;
  /** Rows of inputs that are kept of each matrix. */
  readonly sample: number;
}

/** @throws ShoalError `invalid_request` where there are no texts; the signal's reason */
export async function calibrate(
  subject: Subject,
  workshop: Workshop,
  { tokens, sample }: CalibrationOptions,
  { random, signal }: Pick<Context, 'random' | 'signal'>,
): Promise<Calibrated> {
  const texts = await openTexts(servedFrom(subject), subject.data.calibration, { tokens, signal });
  const { precision, products, normed } = observed();
  const statistics = await workshop.use(precision, (session) =>
    statisticsOf(session, products, texts, { sample, random }),
  );
  const note = `inputs observed over ${texts.count} calibration texts of ${texts.tokens} tokens`;
  return { products, normed, statistics, note };
}
