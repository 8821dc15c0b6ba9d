/** Of a version's variants the fastest that loses no more than a request allows, by what was measured of them. Pure. */
import type { AccuracyLoss } from '@shoal/contracts';
import type { Model } from '@shoal/models';

/** What a request allows, and what it looks like. */
export interface Allowed {
  /** In the metric that each variant was measured in. */
  readonly loss: number;
  /** Items, and tokens of each on average; null: not known yet. */
  readonly batch: number;
  readonly tokens: number | null;
}

/**
 * Upper bound of what a variant loses. Infinite where nobody has measured it, or it was kept although it did not pass: no
 * request gets it by what it allows.
 */
export function boundOf({ variant, original, quality }: Model): number {
  if (variant === original) return 0;
  return quality?.verdict === 'passed' ? quality.loss.bound : Number.POSITIVE_INFINITY;
}

/** The fastest at the request's shape; of equals the one that loses least, then the one that the folder has first. Undefined: none. */
export function fastestOf(variants: readonly Model[], shape: Omit<Allowed, 'loss'>): Model | undefined {
  return best(variants, (a, b) => speedOf(b, shape) - speedOf(a, shape) || boundOf(a) - boundOf(b));
}

/** The original; where that is not among them the one that loses least, and of equals the first. Undefined: there is none. */
export function closestOf(variants: readonly Model[]): Model | undefined {
  return (
    variants.find(({ variant, original }) => variant === original) ?? best(variants, (a, b) => boundOf(a) - boundOf(b))
  );
}

/** What is told of a variant's loss; undefined: it is the original, or was not measured. */
export function lossOf({ quality }: Pick<Model, 'quality'>): AccuracyLoss | undefined {
  if (quality === null) return undefined;
  const { metric, mean, bound } = quality.loss;
  return { metric, mean, bound };
}

/** The first of those that `compare` puts before all others. */
function best(variants: readonly Model[], compare: (a: Model, b: Model) => number): Model | undefined {
  return variants.reduce<Model | undefined>(
    (first, own) => (first === undefined || compare(own, first) < 0 ? own : first),
    undefined,
  );
}

/** Times the original's speed, at the measured shape that is nearest to the request's. */
export function speedOf({ quality }: Model, { batch, tokens }: Omit<Allowed, 'loss'>): number {
  if (quality === null) return 1;
  let nearest = Number.POSITIVE_INFINITY;
  let ratio = 1;
  for (const speed of quality.speeds) {
    const distance = apart(speed.batch, batch) + (tokens === null ? 0 : apart(speed.tokens, tokens));
    if (distance >= nearest) continue;
    nearest = distance;
    ratio = speed.ratio;
  }
  return ratio;
}

/** How far from each other two sizes are: as far from twice as from half. */
function apart(a: number, b: number): number {
  return Math.abs(Math.log(a / Math.max(1, b)));
}
