/** Variants of a version with what was measured of them, for specs. */
import type { SpeedRatio, VariantQuality } from '@shoal/contracts';
import type { Model, ModelFace } from '@shoal/models';
import type { ServedVersion } from '../models/catalog.js';

export interface Measured {
  readonly bound: number;
  /** Beside the original, at one shape or by shape. */
  readonly speed: number | readonly Pick<SpeedRatio, 'batch' | 'tokens' | 'ratio'>[];
  readonly verdict?: VariantQuality['verdict'];
  /** Of a cascade. */
  readonly escalated?: number;
}

export function qualityOf({ bound, speed, verdict = 'passed', escalated }: Measured): VariantQuality {
  const speeds = typeof speed === 'number' ? [{ batch: 1, tokens: 16, ratio: speed }] : speed;
  return {
    ...{ graph: { sha256: '1'.repeat(64), stamp: '' }, beside: { sha256: '2'.repeat(64), stamp: '' } },
    ...{ verdict, method: 'by hand', machine: 'none', measured: '2026-01-05T09:30:00Z' },
    loss: { metric: 'accuracy', mean: bound / 2, bound, allowed: 1, texts: 1000 },
    speeds: speeds.map((one) => ({ ...one, low: one.ratio, high: one.ratio })),
    ...(escalated !== undefined && { escalated }),
    data: { file: 'texts.jsonl', sha256: '0'.repeat(64) },
  };
}

/** A version with the variant `original`, which is the default one, and others; null: one that nobody has measured. */
export function measuredVersion(
  face: ModelFace,
  others: Readonly<Record<string, Measured | null>>,
  original = 'fp32',
): ServedVersion {
  const { name, version } = face.model;
  const model = (variant: string, measured: Measured | null): Model => ({
    ...face.model,
    ...{ variant, original, queue: `${name}.${version}.${variant}.0` },
    quality: measured && qualityOf(measured),
  });
  const first = model(original, null);
  const variants = [first, ...Object.entries(others).map(([variant, measured]) => model(variant, measured))];
  return { face: { ...face, model: first }, variants };
}
