/** Decoders in 4 bits that are rounded by what their inputs count; and with more bits where they count, fewer where they do not. */

import { float32, precisionOf } from '@shoal/importer';
import { weightBytes } from '@shoal/models';
import { withoutFloats } from '../methods/without-floats.js';
import type { Candidate, Context, Made, Method, Subject } from '../types.js';
import { type Calibrated, calibrate } from './calibrate.js';
import { bytesOf, FORMATS } from './formats.js';
import { harmBeside } from './harm.js';
import { mixBits } from './mixed-bits.js';
import { openTexts, servedFrom } from './open-texts.js';
import { weighingOf } from './weighing.js';
import { Workshop } from './workshop.js';

/** More change nothing: of 1,000 to 10 million, llama.cpp's importance matrices came out alike. */
const CALIBRATION_TOKENS = 8192;
/** Rows of inputs that are kept of each matrix, to see how they go together. */
const SAMPLE = 2048;
/** Those that each unit's harm is measured on. */
const HARM_TOKENS = 1024;

export const int4Importance: Method = {
  name: 'int4-importance',
  description: '4-bit weights, rounded by what the calibration texts make of their errors (text generation)',
  stage: 'precision',

  async plan(subject) {
    const refusal = refusalOf(subject);
    if (refusal !== undefined) return refusal;
    const bytes = await weightBytes(subject.original);
    return [{ method: this.name, variant: 'int4-importance', settings: { dtype: 'int4' }, seconds: 5 + bytes / 5e6 }];
  },

  async make(_candidate, subject, path, context) {
    const workshop = new Workshop(subject, path, context);
    const found = await calibrated(subject, workshop, context);
    context.onProgress(0.5);
    const { coarse, how } = weighingOf(found);
    workshop.write(precisionOf('int4', 'decoder', coarse), path);
    return { method: `int4, ${how}`, notes: [found.note] };
  },
};

export const int4Mixed: Method = {
  name: 'int4-mixed',
  description:
    '4 or 8 bits for each part, by measured harm, in as many bytes as int4 takes, or a fifth more (text generation)',
  stage: 'precision',

  async plan(subject) {
    const refusal = refusalOf(subject);
    if (refusal !== undefined) return refusal;
    const bytes = await weightBytes(subject.original);
    return [1, 1.2].map((share): Candidate => {
      const variant = share === 1 ? 'int4-mixed' : `int4-mixed-${Math.round(100 * share)}`;
      return { method: this.name, variant, settings: { bytes: share }, seconds: 20 + bytes / 7e5 };
    });
  },

  async make({ settings }, subject, path, context) {
    return await mixed(Number(settings.bytes), subject, path, context);
  },
};

/** `share` is that of the bytes of int4. */
async function mixed(share: number, subject: Subject, path: string, context: Context): Promise<Made> {
  const { signal } = context;
  const workshop = new Workshop(subject, path, context);
  const found = await calibrated(subject, workshop, context);
  const { products, note } = found;
  const weighing = weighingOf(found);
  const texts = await openTexts(servedFrom(subject), subject.data.choice, { tokens: HARM_TOKENS, signal });
  const harm = await workshop.use(float32, (original) => harmBeside(original, texts));
  const plain = [...products.values()].reduce((sum, product) => sum + bytesOf(product, FORMATS.int4!), 0);
  const { precision, chosen, measured } = await mixBits({
    ...{ products, harm, weighing, budget: share * plain },
    use: (precision, work) => workshop.use(precision, work),
    onProgress: context.onProgress,
  });
  workshop.write(precision, path);
  const counts = Object.keys(FORMATS).flatMap((format) => {
    const count = [...chosen.formats.values()].filter((own) => own === format).length;
    return count === 0 ? [] : [`${count} × ${format}`];
  });
  return {
    method: `int4 and int8 mixed, ${weighing.how}: ${counts.join(', ')}`,
    notes: [
      note,
      `harm of each part measured on ${texts.count} texts of the choice part: their sum says a divergence of ` +
        `${chosen.harm.toPrecision(2)} nats, the whole has ${measured.toPrecision(2)}`,
    ],
  };
}

function calibrated(subject: Subject, workshop: Workshop, context: Context): Promise<Calibrated> {
  return calibrate(subject, workshop, { tokens: CALIBRATION_TOKENS, sample: SAMPLE }, context);
}

function refusalOf({ original }: Subject): string | undefined {
  if (original.task !== 'text-generation')
    return '4 bits make models that generate text faster, and encoders only smaller';
  return withoutFloats(original);
}
