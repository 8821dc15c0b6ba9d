/** Encoders in 8 bits whose inputs are brought near to each other first; parts that lose much all the same may stay in floats. */

import { float32, precisionOf, type RoundedRows, type RowInputs } from '@shoal/importer';
import { weightBytes } from '@shoal/models';
import { withoutFloats } from '../methods/without-floats.js';
import type { Candidate, Context, Made, Method, Subject } from '../types.js';
import { type Calibrated, calibrate } from './calibrate.js';
import { roundWithFeedback } from './feedback.js';
import { harmBeside } from './harm.js';
import { openTexts, servedFrom } from './open-texts.js';
import { smooth } from './smooth.js';
import type { InputStatistics } from './statistics.js';
import { Workshop } from './workshop.js';

const CALIBRATION_TOKENS = 8192;
/** Rows of inputs that are kept of each product, to see how they go together. */
const SAMPLE = 2048;
/** Those that the harm of each part is measured on. */
const HARM_TOKENS = 2048;
/** Shares of all multiplications that may stay in floats. */
const KEPT = [0, 0.1];

export const int8Smooth: Method = {
  name: 'int8-smooth',
  description:
    '8-bit weights and activations, the activations smoothed by the calibration texts (all but text generation)',
  stage: 'precision',

  async plan({ original }) {
    if (original.task === 'text-generation')
      return 'int8 of models that generate text rounds in small blocks, which need no smoothing';
    if (original.task === 'tensors') return 'of a graph of tensors it is not known what its parts are';
    const without = withoutFloats(original);
    if (without !== undefined) return without;
    const bytes = await weightBytes(original);
    return KEPT.map((floats): Candidate => {
      const variant = floats === 0 ? 'int8-smooth' : `int8-smooth-f${Math.round(100 * floats)}`;
      return { method: this.name, variant, settings: { floats }, seconds: 5 + bytes / (floats === 0 ? 5e6 : 1e6) };
    });
  },

  async make({ settings }, subject, path, context) {
    return await smoothed(Number(settings.floats), subject, path, context);
  },
};

interface Bench {
  readonly subject: Subject;
  readonly workshop: Workshop;
  readonly context: Context;
}

async function smoothed(floats: number, subject: Subject, path: string, context: Context): Promise<Made> {
  const workshop = new Workshop(subject, path, context);
  const found = await calibrate(subject, workshop, { tokens: CALIBRATION_TOKENS, sample: SAMPLE }, context);
  const inputs = new Map<string, RowInputs>();
  for (const { name, weight } of found.products.values()) {
    context.signal.throwIfAborted();
    const statistics = found.statistics.get(name)!;
    const { inputs: ready } = smooth(weight.read(), statistics, found.normed.has(name));
    inputs.set(name, withFeedback(ready, statistics));
    context.onProgress((0.5 * inputs.size) / found.products.size);
  }
  const kept = floats === 0 ? [] : await worst(floats, found, inputs, { subject, workshop, context });
  workshop.write(precisionOf('int8', 'encoder', { inputs: inputsBut(inputs, kept) }), path);
  const moved = [...inputs.values()].filter(({ factors, offsets }) => factors !== undefined || offsets !== undefined);
  const notes = [`${moved.length} of ${inputs.size} products with smoothed inputs`, found.note];
  if (kept.length > 0) notes.push(`in 32-bit floats: ${kept.join(', ')}`);
  return { method: kept.length > 0 ? `int8, smoothed, ${kept.length} products in floats` : 'int8, smoothed', notes };
}

/** Weights are rounded once, for however many graphs. */
function withFeedback(inputs: RowInputs, { sample, means }: InputStatistics): RowInputs {
  const { factors } = inputs;
  const columns = means.length;
  let known: RoundedRows | undefined;
  return {
    ...inputs,
    round(weights, rows) {
      known ??= roundWithFeedback(
        weights,
        rows,
        columns,
        sample.map((value, at) => (value - means[at % columns]!) * (factors?.[at % columns] ?? 1)),
      );
      return known;
    },
  };
}

function inputsBut(inputs: ReadonlyMap<string, RowInputs>, kept: readonly string[]) {
  return (name: string) => (kept.includes(name) ? 'float32' : inputs.get(name));
}

/** Products that save the most harm for their multiplications when they stay in floats, each measured alone, up to a share of all. */
async function worst(
  floats: number,
  { products, statistics }: Calibrated,
  inputs: ReadonlyMap<string, RowInputs>,
  { subject, workshop, context }: Bench,
): Promise<readonly string[]> {
  const { signal } = context;
  const texts = await openTexts(servedFrom(subject), subject.data.choice, { tokens: HARM_TOKENS, signal });
  const harm = await workshop.use(float32, (original) => harmBeside(original, texts));
  const measure = (kept: readonly string[]) =>
    workshop.use(precisionOf('int8', 'encoder', { inputs: inputsBut(inputs, kept) }), harm);
  const all = await measure([]);
  const costs = [...products.values()].map(({ name, weight }) => ({
    name,
    cost: weight.rows * weight.columns * statistics.get(name)!.rows,
  }));
  const total = costs.reduce((sum, { cost }) => sum + cost, 0);
  const gains: { readonly name: string; readonly cost: number; readonly gain: number }[] = [];
  for (const { name, cost } of costs) {
    gains.push({ name, cost, gain: (all - (await measure([name]))) / cost });
    context.onProgress(0.5 + (0.5 * gains.length) / costs.length);
  }
  let room = floats * total;
  const kept: string[] = [];
  for (const { name, cost, gain } of gains.sort((a, b) => b.gain - a.gain)) {
    if (gain <= 0 || cost > room) continue;
    room -= cost;
    kept.push(name);
  }
  return kept;
}
