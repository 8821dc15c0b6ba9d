/**
 * Bits where they count: what each unit of a decoder (the maps that read the same, the head) costs at 4 bits is measured with all
 * others at 8, and formats are chosen by that to a budget of bytes.
 */
import { type Precision, precisionOf } from '@shoal/importer';
import { type Chosen, chooseFormats, type Unit } from './choose-formats.js';
import { bytesOf, errorOf, FORMATS } from './formats.js';
import type { Harm } from './harm.js';
import type { Product } from './observed.js';
import type { Weighing } from './weighing.js';
import type { Workshop } from './workshop.js';

/** What a unit's harm is measured at, with all others at `FINE`. */
const COARSE = 'int4';
const FINE = 'int8';

export interface MixRequest {
  readonly products: ReadonlyMap<string, Product>;
  readonly weighing: Weighing;
  /** Of all matrices together. */
  readonly budget: number;
  readonly harm: Harm;
  readonly use: Workshop['use'];
  /** From 0 to 1. */
  readonly onProgress: (share: number) => void;
}

export interface Mixed {
  readonly precision: Precision;
  readonly chosen: Chosen;
  /** Harm of the whole, as it was measured: beside `chosen.harm` it tells how far harms add up. */
  readonly measured: number;
}

/** @throws ShoalError `invalid_request` where the budget is too small; whatever sessions throw */
export async function mixBits({ products, weighing, budget, harm, use, onProgress }: MixRequest): Promise<Mixed> {
  const { importance } = weighing;
  const precisions = new Map(
    Object.entries(FORMATS).map(([dtype, { bits }]) => {
      const tuning = bits === 4 ? weighing.coarse : { importance };
      return [dtype, precisionOf(dtype, 'decoder', { ...tuning, remember: true })];
    }),
  );
  const measure = (pick: (name: string) => string) => use(mixedPrecision('mixed', precisions, pick), harm);
  const base = await measure(() => FINE);
  const units: Unit[] = [];
  for (const product of products.values()) {
    const coarse = await measure((name) => (name === product.name ? COARSE : FINE));
    units.push(unitOf(product, Math.max(0, coarse - base), importance(product.name)));
    onProgress((0.95 * units.length) / products.size);
  }
  const chosen = chooseFormats(units, budget);
  // What has no inputs that are multiplied (an embedding of its own) is as it would be in int4.
  const pick = (name: string) => chosen.formats.get(name) ?? COARSE;
  const measured = await measure(pick);
  onProgress(1);
  return {
    precision: mixedPrecision('int4-mixed', precisions, pick),
    chosen: { ...chosen, harm: chosen.harm + base },
    measured,
  };
}

/** Harm grows with the squared error of the weights, which is known for every format. */
function unitOf(product: Product, coarse: number, importance: Float32Array | undefined): Unit {
  const error = (dtype: string) => errorOf(product, FORMATS[dtype]!, importance);
  const unit = coarse / Math.max(error(COARSE) - error(FINE), Number.MIN_VALUE);
  const options = Object.entries(FORMATS).map(([format, blocks]) => {
    return { format, bytes: bytesOf(product, blocks), harm: unit * Math.max(0, error(format) - error(FINE)) };
  });
  return { name: product.name, options };
}

/** Each matrix in the precision that `pick` names for it. */
export function mixedPrecision(
  name: string,
  precisions: ReadonlyMap<string, Precision>,
  pick: (name: string) => string,
): Precision {
  const of = (matrix: string) => precisions.get(pick(matrix))!;
  return {
    name,
    linear: (g, x, matrix, weight, bias) => of(matrix).linear(g, x, matrix, weight, bias),
    embedding: (g, ids, matrix, table) => of(matrix).embedding(g, ids, matrix, table),
    head: (g, x, matrix, weight) => of(matrix).head(g, x, matrix, weight),
  };
}
