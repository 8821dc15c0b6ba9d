/**
 * `quality.json` in a version's folder: what its variants were measured to lose. Only what was measured of the graphs that lie
 * there, the variant's and the original's, is taken. What cannot be is told, and hides no model: without it a variant is served as
 * one that nobody has measured.
 */
import { QualityJson, ShoalError, type VariantQuality } from '@shoal/contracts';
import type { Model } from '../types.js';
import { readJson } from './files.js';
import type { GraphIdentities } from './graph-identity.js';

export const QUALITY_FILE = 'quality.json';
/** What the names of the files begin with that keep two from writing it at once. */
export const QUALITY_LOCK = 'quality.lock-';
/** What a person may do about figures that are of another graph. */
const MEASURE = 'measure again (shoal evaluate --keep)';

/** A version as it is served. */
export interface ReadVersion {
  /** One for each variant, the default one first. */
  readonly models: readonly Model[];
  /** What of its `quality.json` is not used, and why. */
  readonly ignored: readonly string[];
}

/** The variants of a version in `folder` with what was measured of them; whatever they had of that before is forgotten. */
export async function withQuality(
  folder: string,
  models: readonly Model[],
  identities: GraphIdentities,
): Promise<ReadVersion> {
  const unmeasured = models.map((model) => ({ ...model, original: models[0]!.variant, quality: null }));
  const file = await readQuality(folder);
  if (file === null) return { models: unmeasured, ignored: [] };
  if (typeof file === 'string') return { models: unmeasured, ignored: [file] };
  const { original } = file;
  if (!models.some(({ variant }) => variant === original)) {
    return { models: unmeasured, ignored: [`${QUALITY_FILE}: original: there is no variant ${original}`] };
  }
  const { entries, ignored } = await sorted(file, models[0]!, identities);
  const measured = models.map((model) => ({
    ...model,
    original,
    quality: model.variant === original ? null : (entries.get(model.variant) ?? null),
  }));
  return { models: measured, ignored };
}

/** What still holds, and why the rest does not: one line for each variant, and one for all that an original was taken from. */
async function sorted(
  { original, variants: measured }: QualityJson,
  { variants }: Model,
  identities: GraphIdentities,
): Promise<{ readonly entries: ReadonlyMap<string, VariantQuality>; readonly ignored: readonly string[] }> {
  const entries = new Map<string, VariantQuality>();
  const ignored: string[] = [];
  const orphaned: string[] = [];
  for (const [variant, quality] of Object.entries(measured)) {
    const path = Object.hasOwn(variants, variant) ? variants[variant] : undefined;
    if (path === undefined) ignored.push(`variants.${variant}: there is no such variant`);
    else if (!(await identities.holds(path, quality.graph))) {
      ignored.push(`variants.${variant}: its graph was replaced after it was measured: ${MEASURE}`);
    } else if (!(await identities.holds(variants[original]!, quality.beside))) orphaned.push(variant);
    else entries.set(variant, quality);
  }
  if (orphaned.length > 0) {
    ignored.push(
      `original: ${original} was replaced after ${orphaned.join(', ')} had been measured beside it: ${MEASURE}`,
    );
  }
  return { entries, ignored: ignored.map((fault) => `${QUALITY_FILE}: ${fault}`) };
}

/** Null where there is none; a text says why it cannot be read. */
async function readQuality(folder: string): Promise<QualityJson | string | null> {
  try {
    return await readJson(folder, QUALITY_FILE, QualityJson);
  } catch (error) {
    return error instanceof ShoalError
      ? error.message
      : `${QUALITY_FILE} cannot be read (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`;
  }
}
